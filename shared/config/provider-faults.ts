import type { BedrockShape, FoundryShape, GeminiShape, OpenaiShape, ProviderShape } from "./provider-shapes.ts";

/** What the schema cannot say of one provider: which members need each other. */
export function providerFaults(written: ProviderShape, options: { readonly secretsMayLack: boolean }): string[] {
  if (written.type === "bedrock") return options.secretsMayLack ? [] : bedrockFaults(written);
  if (written.type === "foundry") return foundryFaults(written, options);
  if (written.type === "openai") return openaiFaults(written);
  return written.type === "gemini" ? geminiFaults(written) : [];
}

function bedrockFaults(written: BedrockShape): string[] {
  const hasId = Boolean(written.access_key_id);
  const hasSecret = Boolean(written.secret_access_key);
  return hasId === hasSecret ? [] : ["`access_key_id` and `secret_access_key` need each other"];
}

function foundryFaults(written: FoundryShape, { secretsMayLack }: { readonly secretsMayLack: boolean }): string[] {
  const faults: string[] = [];
  if (written.resource === undefined && written.base_url === undefined) faults.push("needs `resource` or `base_url`");
  if (secretsMayLack || written.auth !== "entra") return faults;
  const parts = [written.tenant_id, written.client_id, written.client_secret].filter(Boolean);
  if (parts.length < 3) faults.push("`auth: entra` needs `tenant_id`, `client_id` and `client_secret`");
  return faults;
}

function openaiFaults({ api, max_tokens_field: field }: OpenaiShape): string[] {
  return api === "responses" && field !== undefined ? ["`max_tokens_field` says nothing with `api: responses`"] : [];
}

function geminiFaults(written: GeminiShape): string[] {
  if (written.api !== "vertex") return [];
  return written.project === undefined ? ["`api: vertex` needs `project`"] : [];
}
