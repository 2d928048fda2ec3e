import { encodeParts, type PartWords } from "../openai/encode-parts.ts";
import { wireToolId, wireToolName } from "../openai/tool-names.ts";
import type { MessagesRequest, Turn } from "../translate/messages-request.ts";
import type { Block, ThinkingBlock, ToolResultBlock } from "../translate/read-blocks.ts";
import type { Fields, Reading } from "../translate/reading.ts";
import { readReasoningSignature } from "./reasoning-signature.ts";
import type { ResponsesWire } from "./wire.ts";

export interface InputContext {
  readonly reading: Reading;
  readonly wire: Pick<ResponsesWire, "account" | "echoesReasoning">;
  /** Whether the model takes reasoning back; others refuse it. */
  readonly mayReason: boolean;
}

const words: PartWords = {
  text: (text) => ({ type: "input_text", text }),
  image: (url) => ({ type: "input_image", image_url: url, detail: "auto" }),
  file: (file) => ({ type: "input_file", ...file }),
  fileByUrl: (url) => ({ type: "input_file", file_url: url }),
};

/** The conversation as items. The same body always gives the same items, so that prompt caches are hit. */
export function encodeInput({ turns }: Pick<MessagesRequest, "turns">, context: InputContext): Fields[] {
  return turns.flatMap((turn) => encodeTurn(turn, context));
}

function encodeTurn({ role, blocks }: Turn, context: InputContext): Fields[] {
  if (role === "assistant") return encodeAnswer(blocks, context);
  if (role === "user") return encodeUser(blocks, context.reading);
  const texts = blocks.map((block) => (block.type === "text" ? block.text : ""));
  return texts.length === 0 ? [] : [{ role: "developer", content: texts.join("\n\n") }];
}

/** Everything in its place; neighbouring texts are one text that citations had cut. */
function encodeAnswer(blocks: readonly Block[], context: InputContext): Fields[] {
  const items: Fields[] = [];
  let text = "";
  const endText = (): void => {
    if (text !== "") items.push({ role: "assistant", content: text });
    text = "";
  };
  for (const block of blocks) {
    if (block.type === "text") text += block.text;
    else endText();
    if (block.type === "thinking") items.push(...encodeReasoning(block, context));
    if (block.type === "tool_use") items.push(encodeCall(block));
  }
  endText();
  // Reasoning that led to nothing is refused by some servers, and helps none.
  const kept = items.slice(0, items.findLastIndex(({ type }) => type !== "reasoning") + 1);
  if (kept.length < items.length) context.reading.drop("thinking that led to nothing");
  return kept;
}

function encodeCall({ id, name, input }: Extract<Block, { readonly type: "tool_use" }>): Fields {
  const args = JSON.stringify(input);
  return { type: "function_call", call_id: wireToolId(id), name: wireToolName(name), arguments: args };
}

/** Reasoning goes back to who alone can read it, or who showed it; it says nothing to any other model. */
function encodeReasoning({ thinking, signature }: ThinkingBlock, context: InputContext): Fields[] {
  const { reading, wire, mayReason } = context;
  const item = readReasoningSignature(signature);
  if (mayReason && item?.account === wire.account) {
    const { id, encrypted } = item;
    if (encrypted !== "")
      return [{ type: "reasoning", id, summary: summaryOf(thinking), encrypted_content: encrypted }];
    if (wire.echoesReasoning)
      return [{ type: "reasoning", id, summary: [], content: [{ type: "reasoning_text", text: thinking }] }];
  }
  reading.drop("thinking of another model");
  return [];
}

function summaryOf(thinking: string): Fields[] {
  return thinking === "" ? [] : [{ type: "summary_text", text: thinking }];
}

/** The results first, right behind their calls; then what else the user says. */
function encodeUser(blocks: readonly Block[], reading: Reading): Fields[] {
  const items: Fields[] = [];
  const parts: Fields[] = [];
  for (const block of blocks) {
    if (block.type === "tool_result") items.push(encodeResult(block, reading));
    else parts.push(...encodeParts(block, reading, words));
  }
  if (parts.length > 0) items.push({ role: "user", content: onlyText(parts) ?? parts });
  return items;
}

function encodeResult({ blocks, isError, toolUseId }: ToolResultBlock, reading: Reading): Fields {
  const parts = blocks.flatMap((block) => encodeParts(block, reading, words));
  const texts = parts.map((part) => part["text"]);
  const output = texts.every((text) => typeof text === "string") ? texts.join("\n") : parts;
  return { type: "function_call_output", call_id: wireToolId(toolUseId), output: isError ? asError(output) : output };
}

/** The wire has no mark for a failure: it is said. */
function asError(output: string | readonly Fields[]): string | readonly Fields[] {
  return typeof output === "string" ? `Error: ${output}` : [words.text("Error:"), ...output];
}

function onlyText([first, ...rest]: readonly Fields[]): unknown {
  return rest.length === 0 && first?.["type"] === "input_text" ? first["text"] : undefined;
}
