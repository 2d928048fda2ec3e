import type { MessagesRequest, Turn } from "../translate/messages-request.ts";
import type { ToolUseBlock } from "../translate/read-blocks.ts";
import { encodeInput } from "./encode-input.ts";
import type { MediaScope } from "./encode-media.ts";
import { encodeToolResult } from "./encode-tool-result.ts";
import { toFunctionName } from "./function-name.ts";
import { decodeSignature, unsignedCall, type ThoughtSignature } from "./thought-signature.ts";
import type { Content, Part } from "./wire.ts";

export interface ContentsScope extends MediaScope {
  /** As Gemini calls it. */
  readonly model: string;
}

/** The conversation as Gemini's turns of user and model. */
export function encodeContents({ turns, prefillPath }: MessagesRequest, scope: ContentsScope): Content[] {
  if (prefillPath !== undefined) scope.reading.adaptOrRefuse("beginning of the answer left out", prefillPath);
  const names = new Map<string, string>();
  const contents: Content[] = [];
  for (const turn of prefillPath === undefined ? turns : turns.slice(0, -1)) {
    if (turn.role === "assistant") push(contents, "model", encodeAnswer(turn, names, scope));
    else encodeAsk(turn, names, { contents, scope });
  }
  return contents;
}

function push(contents: Content[], role: "user" | "model", parts: readonly Part[]): void {
  if (parts.length > 0) contents.push({ role, parts });
}

interface Asking {
  readonly contents: Content[];
  readonly scope: ContentsScope;
}

/** Responses to functions are a turn of their own: Gemini counts them against the calls before. */
function encodeAsk({ role, blocks }: Turn, names: ReadonlyMap<string, string>, { contents, scope }: Asking): void {
  if (role === "system") scope.reading.adapt("system message as user text");
  const responses: Part[] = [];
  const rest: Part[] = [];
  for (const block of blocks) {
    if (block.type !== "tool_result") {
      rest.push(...encodeInput(block, scope));
      continue;
    }
    const { response, media } = encodeToolResult(block, names, scope);
    responses.push(response);
    rest.push(...media);
  }
  push(contents, "user", responses);
  push(contents, "user", rest);
}

/**
 * What the model said. Thinking comes back only as far as it is signed; a signature goes to the part it was on. Of
 * parallel calls the first alone is signed.
 */
function encodeAnswer({ blocks }: Turn, names: Map<string, string>, scope: ContentsScope): Part[] {
  const parts: Part[] = [];
  let pending: ThoughtSignature | undefined;
  let calls = 0;
  for (const block of blocks) {
    if (block.type === "thinking") {
      const signature = decodeSignature(block.signature, scope.model);
      if (!signature) scope.reading.drop("thinking of another model");
      else if (signature.on === "call") pending = signature;
      else parts.push(signedPart(block.thinking, signature));
    } else if (block.type === "tool_use") {
      names.set(block.id, block.name);
      parts.push({ ...encodeCall(block), ...signatureOf(pending, calls, scope) });
      pending = undefined;
      calls += 1;
    } else parts.push(...encodeInput(block, scope));
  }
  return parts;
}

function signedPart(thinking: string, { on, value }: ThoughtSignature): Part {
  return on === "text"
    ? { text: "", thoughtSignature: value }
    : { text: thinking, thought: true, thoughtSignature: value };
}

function signatureOf(pending: ThoughtSignature | undefined, calls: number, { traits, reading }: ContentsScope): Part {
  if (pending) return { thoughtSignature: pending.value };
  if (calls > 0 || !traits.needsSignatures) return {};
  reading.adapt("unsigned call marked as such");
  return { thoughtSignature: unsignedCall };
}

function encodeCall({ id, name, input }: ToolUseBlock): Part {
  return { functionCall: { id, name: toFunctionName(name), args: input } };
}
