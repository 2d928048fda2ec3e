import { readForeignSignature } from "../translate/foreign-thinking.ts";
import type { MessagesRequest, Turn } from "../translate/messages-request.ts";
import type { Block, ToolResultBlock } from "../translate/read-blocks.ts";
import type { Fields, Reading } from "../translate/reading.ts";
import { encodeParts, type PartWords } from "./encode-parts.ts";
import { wireToolId, wireToolName } from "./tool-names.ts";

export interface MessagesContext {
  readonly reading: Reading;
  readonly echoesReasoning: boolean;
}

const words: PartWords = {
  text: (text) => ({ type: "text", text }),
  image: (url) => ({ type: "image_url", image_url: { url } }),
  file: (file) => ({ type: "file", file }),
};

/** A message of the Chat wire. */
export type ChatMessage = Fields;

/** The conversation, `system` first. The same body always gives the same messages, so that prompt caches are hit. */
export function encodeMessages(request: MessagesRequest, context: MessagesContext): ChatMessage[] {
  const system = request.system.map(({ text }) => text).join("\n\n");
  const messages: ChatMessage[] = system === "" ? [] : [{ role: "system", content: system }];
  for (const turn of request.turns) messages.push(...encodeTurn(turn, context));
  return messages;
}

function encodeTurn(turn: Turn, context: MessagesContext): ChatMessage[] {
  if (turn.role === "assistant") return encodeAssistant(turn.blocks, context);
  if (turn.role === "user") return encodeUser(turn.blocks, context.reading);
  const texts = turn.blocks.map((block) => (block.type === "text" ? block.text : ""));
  return texts.length === 0 ? [] : [{ role: "system", content: texts.join("\n\n") }];
}

/** One message: its texts, then its calls; the wire knows no order among them. */
function encodeAssistant(blocks: readonly Block[], context: MessagesContext): ChatMessage[] {
  const calls: Fields[] = [];
  let text: string | undefined;
  let before: Block["type"] | undefined;
  for (const block of blocks) {
    // Neighbouring texts are one text that citations had cut.
    if (block.type === "text")
      text = text === undefined ? block.text : `${text}${before === "text" ? "" : "\n\n"}${block.text}`;
    if (block.type === "tool_use") {
      const { id, name, input } = block;
      const call = { name: wireToolName(name), arguments: JSON.stringify(input) };
      calls.push({ id: wireToolId(id), type: "function", function: call });
    }
    before = block.type;
  }
  const reasoning = encodeReasoning(blocks, context);
  if (text === undefined && calls.length === 0) return [];
  return [
    {
      role: "assistant",
      content: text ?? null,
      ...reasoning,
      ...(calls.length === 0 ? undefined : { tool_calls: calls }),
    },
  ];
}

/** Reasoning that came over this wire goes back under the name it came by; any other says nothing to this model. */
function encodeReasoning(blocks: readonly Block[], { reading, echoesReasoning }: MessagesContext): Fields {
  let name = "reasoning_content";
  let text = "";
  for (const block of blocks) {
    if (block.type !== "thinking") continue;
    const foreign = readForeignSignature(block.signature);
    if (foreign?.type === "openai" && echoesReasoning) {
      text += block.thinking;
      if (foreign.opaque === "reasoning") name = foreign.opaque;
    } else reading.drop("thinking of another model");
  }
  return text === "" ? {} : { [name]: text };
}

/** The results first, one message each, as the wire wants them right behind the calls; then what else the user says. */
function encodeUser(blocks: readonly Block[], reading: Reading): ChatMessage[] {
  const messages: ChatMessage[] = [];
  const parts: Fields[] = [];
  for (const block of blocks) {
    if (block.type !== "tool_result") continue;
    const { text, attached } = splitResult(block, reading);
    messages.push({ role: "tool", tool_call_id: wireToolId(block.toolUseId), content: text });
    if (attached.length > 0)
      parts.push(words.text(`Attached to the result of ${wireToolId(block.toolUseId)}:`), ...attached);
  }
  for (const block of blocks) if (block.type !== "tool_result") parts.push(...encodeParts(block, reading, words));
  if (parts.length === 0) return messages;
  const [only] = parts;
  const isPlain = parts.length === 1 && only?.["type"] === "text";
  messages.push({ role: "user", content: isPlain ? only["text"] : parts });
  return messages;
}

/** A result is text here; pictures and files follow as the user's own words. */
function splitResult(
  { blocks, isError }: ToolResultBlock,
  reading: Reading,
): { readonly text: string; readonly attached: readonly Fields[] } {
  const parts = blocks.flatMap((block) => encodeParts(block, reading, words));
  const attached = parts.filter((part) => part["type"] !== "text");
  const texts = parts.filter((part) => part["type"] === "text").map((part) => String(part["text"]));
  const text = texts.length === 0 && attached.length > 0 ? "The result is attached below." : texts.join("\n");
  return { text: isError ? `Error: ${text}` : text, attached };
}
