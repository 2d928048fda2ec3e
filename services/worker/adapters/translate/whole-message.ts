import type { MessagesAnswer } from "../adapter.ts";
import {
  emptyMessage,
  emptyText,
  emptyThinking,
  emptyToolUse,
  stopMembers,
  toolInput,
  wholeUsage,
  type AnswerEnd,
  type AnswerHead,
} from "./answer-parts.ts";
import type { Fields } from "./reading.ts";

export type WholePart =
  | { readonly type: "text"; readonly text: string }
  /** `signature` as `foreignSignature` makes it. */
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  /** Arguments as JSON text, however broken, or as the object they are. */
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly args: string | Fields };

/** A whole Message. Texts without a letter are left out: on the next turn Claude would refuse them. */
export function wholeMessage(head: AnswerHead, parts: readonly WholePart[], end: AnswerEnd): MessagesAnswer {
  const message = {
    ...emptyMessage(head, end.usage),
    content: parts.filter((part) => part.type !== "text" || part.text.trim() !== "").map(contentBlock),
    ...stopMembers(end),
    usage: wholeUsage(end.usage),
  };
  return { body: Buffer.from(JSON.stringify(message)), usage: end.usage, messageId: head.id };
}

function contentBlock(part: WholePart): Fields {
  if (part.type === "text") return { ...emptyText(), text: part.text };
  if (part.type === "thinking") return { ...emptyThinking(), thinking: part.thinking, signature: part.signature };
  return { ...emptyToolUse(part), input: typeof part.args === "string" ? toolInput(part.args) : part.args };
}
