import type { DecodeContext, MessagesAnswer, UpstreamHead } from "../adapter.ts";
import { messageIdOf } from "../translate/answer-parts.ts";
import { isFields, type Fields } from "../translate/reading.ts";
import { wholeMessage, type WholePart } from "../translate/whole-message.ts";
import { GeminiAnswer, type AnswerSink } from "./gemini-answer.ts";
import { encodeSignature } from "./thought-signature.ts";

/** Undefined for an error, a page, half a document, and an answer whose end says that it is none. */
export function decode(context: DecodeContext, head: UpstreamHead, body: Buffer): MessagesAnswer | undefined {
  if (head.status < 200 || head.status >= 300) return undefined;
  const responses = readResponses(body);
  if (!responses) return undefined;
  if (context.operation === "count_tokens") return decodeCount(responses);
  const parts: WholePart[] = [];
  const answer = new GeminiAnswer(context, collect(parts));
  for (const response of responses) answer.add(response);
  const isAnswer = answer.finish ? answer.finish.kind !== "fault" : answer.hasContent;
  if (!isAnswer) return undefined;
  return wholeMessage({ id: messageIdOf(context.callId), model: context.askedModel }, parts, answer.end());
}

/** One response, or those of a stream that came as an array; undefined for anything else. */
export function readResponses(body: Buffer): readonly Fields[] | undefined {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    const responses = (Array.isArray(value) ? value : [value]).filter(isFields);
    return responses.length === 0 || responses.some((response) => "error" in response) ? undefined : responses;
  } catch {
    return undefined;
  }
}

function decodeCount([response]: readonly Fields[]): MessagesAnswer | undefined {
  const tokens = response?.["totalTokens"];
  return typeof tokens === "number" ? { body: Buffer.from(JSON.stringify({ input_tokens: tokens })) } : undefined;
}

/** Neighbouring pieces of a kind are one block, as on a stream. */
function collect(parts: WholePart[]): AnswerSink {
  const lastOf = <Type extends WholePart["type"]>(type: Type): Extract<WholePart, { type: Type }> | undefined => {
    const last = parts.at(-1);
    return last?.type === type ? (last as Extract<WholePart, { type: Type }>) : undefined;
  };
  return {
    text(piece) {
      const last = lastOf("text");
      if (last) parts[parts.length - 1] = { type: "text", text: last.text + piece };
      else if (piece !== "") parts.push({ type: "text", text: piece });
    },
    thinking(piece) {
      const last = lastOf("thinking");
      if (last) parts[parts.length - 1] = { ...last, thinking: last.thinking + piece };
      else if (piece !== "") parts.push({ type: "thinking", thinking: piece, signature: encodeSignature() });
    },
    sign(signature) {
      const last = lastOf("thinking");
      if (last) parts[parts.length - 1] = { ...last, signature };
      else parts.push({ type: "thinking", thinking: "", signature });
    },
    tool: ({ id, name, args }) => parts.push({ type: "tool_use", id, name, args }),
  };
}
