import type { AnswerEnd } from "../translate/answer-parts.ts";
import { isFields, type Fields } from "../translate/reading.ts";

/** How a choice says it ended. */
export interface ChatFinish {
  readonly reason: string;
  /** The stop sequence that was met, as some servers tell it. */
  readonly stop?: string;
}

/** Undefined while it has not ended. */
export function readFinish(choice: Fields): ChatFinish | undefined {
  const reason = choice["finish_reason"];
  if (typeof reason !== "string" || reason === "") return undefined;
  const stop = choice["stop_reason"] ?? choice["matched_stop"];
  return { reason, ...(typeof stop === "string" ? { stop } : undefined) };
}

/** Servers end a choice with these where it failed. */
export function isFailedFinish({ reason }: ChatFinish): boolean {
  return reason === "error" || reason === "insufficient_system_resource";
}

export interface AnswerContent {
  /** Whether a tool was called: what an answer ends with is told by what is in it, servers differ in the word. */
  readonly calls: boolean;
  /** What the model said in refusing; undefined when it did not. */
  readonly refusal?: string;
  /** The stop sequences of the call. */
  readonly stopSequences: readonly string[];
}

export function answerEnd(finish: ChatFinish, content: AnswerContent): Omit<AnswerEnd, "usage"> {
  const { reason, stop } = finish;
  if (reason === "content_filter" || content.refusal !== undefined)
    return { stopReason: "refusal", ...(content.refusal ? { explanation: content.refusal } : undefined) };
  if (reason === "length" || reason === "model_length" || reason === "max_tokens") return { stopReason: "max_tokens" };
  if (content.calls) return { stopReason: "tool_use" };
  if (stop !== undefined && content.stopSequences.includes(stop))
    return { stopReason: "stop_sequence", stopSequence: stop };
  return { stopReason: "end_turn" };
}

/** The call's own stop sequences, looked at only when a server names the one it met. */
export function stopSequencesOf(finish: ChatFinish, body: Buffer): readonly string[] {
  if (finish.stop === undefined) return [];
  const { stop_sequences: list } = JSON.parse(body.toString("utf8")) as Fields;
  return Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
}

/** Text and reasoning of a `content`, which some servers give as a list of parts. */
export function readContent(content: unknown): { readonly text: string; readonly thinking: string } {
  if (typeof content === "string") return { text: content, thinking: "" };
  let text = "";
  let thinking = "";
  for (const part of Array.isArray(content) ? (content as readonly unknown[]) : []) {
    if (!isFields(part)) continue;
    if (typeof part["text"] === "string") text += part["text"];
    else if (part["type"] === "thinking") thinking += readContent(part["thinking"]).text;
  }
  return { text, thinking };
}

/** Reasoning under the names that compatible servers have for it; those that send both send the same. */
export function readReasoning(message: Fields): { readonly text: string; readonly name: string } | undefined {
  for (const name of ["reasoning_content", "reasoning"]) {
    const text = message[name];
    if (typeof text === "string" && text !== "") return { text, name };
  }
  return undefined;
}

/** Arguments as JSON text; servers that give them as an object mean the same. */
export function argumentsText(value: unknown): string {
  if (typeof value === "string") return value;
  return isFields(value) ? JSON.stringify(value) : "";
}
