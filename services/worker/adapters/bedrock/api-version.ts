import { classicVersion } from "../claude-request.ts";

const bedrockVersion = "bedrock-2023-05-31";
/** The first models that know the versions after the classic one: Claude 4.7. */
const knowsLater = { major: 4, minor: 7 };

/**
 * `anthropic_version` of a body. A later version only forbids more than the classic one does, so where a model does not
 * know it, or cannot be told from its id, the classic one says the same.
 */
export function apiVersion(asked: string, model: string): string {
  return asked === classicVersion || !knowsLaterVersions(model) ? bedrockVersion : asked;
}

/** `claude-opus-4-7`, `claude-sonnet-5`; before Claude 4 the number stood in front: `claude-3-5-sonnet`. */
function knowsLaterVersions(model: string): boolean {
  const match = /claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?!\d)/.exec(model);
  if (!match) return false;
  const [major, minor] = [Number(match[1]), Number(match[2] ?? 0)];
  return major > knowsLater.major || (major === knowsLater.major && minor >= knowsLater.minor);
}
