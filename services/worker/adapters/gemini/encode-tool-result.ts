import type { ToolResultBlock } from "../translate/read-blocks.ts";
import { encodeInput } from "./encode-input.ts";
import type { MediaScope } from "./encode-media.ts";
import { toFunctionName } from "./function-name.ts";
import type { Part } from "./wire.ts";

interface EncodedResult {
  readonly response: Part;
  /** For a model whose responses are text only: what follows them. */
  readonly media: readonly Part[];
}

/** @param names of the functions, by the ids of the calls made so far */
export function encodeToolResult(
  block: ToolResultBlock,
  names: ReadonlyMap<string, string>,
  scope: MediaScope,
): EncodedResult {
  const { toolUseId, isError, blocks, path } = block;
  const name = names.get(toolUseId);
  if (name === undefined)
    return scope.reading.refuse(`${path}.tool_use_id`, "names no tool_use block of an earlier turn");
  const texts: string[] = [];
  const media: Part[] = [];
  for (const part of blocks.flatMap((inner) => encodeInput(inner, scope)))
    if (part.text === undefined) media.push(part);
    else texts.push(part.text);
  const response = {
    id: toolUseId,
    name: toFunctionName(name),
    response: { [isError ? "error" : "output"]: texts.join("\n") },
  };
  if (media.length === 0) return { response: { functionResponse: response }, media: [] };
  if (scope.traits.mediaInResponses)
    return { response: { functionResponse: { ...response, parts: media } }, media: [] };
  scope.reading.adapt("media of a tool result behind it");
  return { response: { functionResponse: response }, media: [{ text: `Part of the result of ${name}:` }, ...media] };
}
