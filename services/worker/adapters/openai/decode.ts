import { isEncoded } from "../anthropic/is-encoded.ts";
import type { DecodeContext, MessagesAnswer, UpstreamHead } from "../adapter.ts";
import { messageIdOf } from "../translate/answer-parts.ts";
import { estimateInputTokens } from "../translate/estimate-input.ts";
import { foreignSignature } from "../translate/foreign-thinking.ts";
import { isFields, parseFields, type Fields } from "../translate/reading.ts";
import { wholeMessage, type WholePart as AnyPart } from "../translate/whole-message.ts";
import {
  answerEnd,
  argumentsText,
  isFailedFinish,
  readContent,
  readFinish,
  readReasoning,
  stopSequencesOf,
  type ChatFinish,
} from "./chat-end.ts";
import { estimatedUsage, readChatUsage } from "./chat-usage.ts";
import { callerToolId, callerToolName } from "./tool-names.ts";

/** Arguments are text on this wire. */
type WholePart =
  | Exclude<AnyPart, { type: "tool_use" }>
  | (AnyPart & { readonly type: "tool_use"; readonly args: string });

/** A whole completion as a Message; undefined for errors, pages and half documents, whatever their status. */
export function decode(context: DecodeContext, head: UpstreamHead, body: Buffer): MessagesAnswer | undefined {
  if (head.status < 200 || head.status >= 300 || isEncoded(head)) return undefined;
  const completion = parseFields(body);
  const choice = completion && readChoice(completion);
  if (!choice) return undefined;
  const { message, finish } = choice;
  const parts = readParts(message, context);
  const refusal = message["refusal"];
  const end = answerEnd(finish, {
    calls: parts.some((part) => part.type === "tool_use"),
    ...(typeof refusal === "string" && refusal !== "" ? { refusal } : undefined),
    stopSequences: stopSequencesOf(finish, context.body),
  });
  const usage =
    readChatUsage(completion["usage"]) ?? estimatedUsage(estimateInputTokens(context.body), lengthOf(parts));
  return wholeMessage({ id: messageIdOf(context.callId), model: context.askedModel }, parts, { ...end, usage });
}

function lengthOf(parts: readonly WholePart[]): number {
  let length = 0;
  for (const part of parts) {
    if (part.type === "text") length += part.text.length;
    else if (part.type === "thinking") length += part.thinking.length;
    else length += part.args.length;
  }
  return length;
}

interface Choice {
  readonly message: Fields;
  readonly finish: ChatFinish;
}

/** The first choice, unless it or the whole completion failed. */
function readChoice({ choices, error }: Fields): Choice | undefined {
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  if (error || !isFields(choice) || !isFields(choice["message"]) || choice["error"]) return undefined;
  const finish = readFinish(choice) ?? { reason: "stop" };
  return isFailedFinish(finish) ? undefined : { message: choice["message"], finish };
}

function readParts(message: Fields, context: DecodeContext): WholePart[] {
  const { text, thinking } = readContent(message["content"]);
  const reasoning = readReasoning(message) ?? { text: thinking, name: "reasoning_content" };
  const refusal = typeof message["refusal"] === "string" ? message["refusal"] : "";
  const parts: WholePart[] = [];
  if (reasoning.text !== "")
    parts.push({ type: "thinking", thinking: reasoning.text, signature: reasoningSignature(reasoning.name) });
  if (text + refusal !== "") parts.push({ type: "text", text: text + refusal });
  return [...parts, ...readCalls(message["tool_calls"], context)];
}

/** Remembers by which name the server calls its reasoning, to give it back by the same. */
export function reasoningSignature(name: string): string {
  return foreignSignature(name === "reasoning" ? { type: "openai", opaque: name } : { type: "openai" });
}

function readCalls(calls: unknown, context: DecodeContext): WholePart[] {
  const parts: WholePart[] = [];
  const ids = new Set<string>();
  for (const [position, call] of (Array.isArray(calls) ? (calls as readonly unknown[]) : []).entries()) {
    const fn = isFields(call) ? call["function"] : undefined;
    if (!isFields(call) || !isFields(fn) || typeof fn["name"] !== "string") continue;
    const given = typeof call["id"] === "string" && !ids.has(call["id"]) ? call["id"] : "";
    ids.add(given);
    const id = callerToolId(given, position, context);
    const name = callerToolName(fn["name"], context.body);
    parts.push({ type: "tool_use", id, name, args: argumentsText(fn["arguments"]) });
  }
  return parts;
}
