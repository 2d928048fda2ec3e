import { isEncoded } from "../anthropic/is-encoded.ts";
import type { DecodeContext, MessagesAnswer, UpstreamHead } from "../adapter.ts";
import { answerEnd } from "../openai/chat-end.ts";
import { estimatedUsage } from "../openai/chat-usage.ts";
import { callerToolId, callerToolName } from "../openai/tool-names.ts";
import { messageIdOf } from "../translate/answer-parts.ts";
import { estimateInputTokens } from "../translate/estimate-input.ts";
import { parseFields, type Fields } from "../translate/reading.ts";
import { wholeMessage, type WholePart } from "../translate/whole-message.ts";
import { givenBack, readItem, type OutputItem } from "./read-item.ts";
import { reasoningSignature } from "./reasoning-signature.ts";
import { readEnd, readResponseUsage, wantsReasoning } from "./response-end.ts";
import type { ResponsesWire } from "./wire.ts";

type Account = Pick<ResponsesWire, "account">;

/** A whole response as a Message, or a count; undefined for errors, pages, half documents and what has not ended. */
export function decode(
  wire: Account,
  context: DecodeContext,
  answer: { readonly head: UpstreamHead; readonly body: Buffer },
): MessagesAnswer | undefined {
  const { status } = answer.head;
  if (status < 200 || status >= 300 || isEncoded(answer.head)) return undefined;
  const response = parseFields(answer.body);
  if (!response) return undefined;
  if (context.operation === "count_tokens") return decodeCount(response);
  const finish = Array.isArray(response["output"]) ? readEnd(response) : undefined;
  if (!finish) return undefined;
  const items = (response["output"] as readonly unknown[]).map(readItem).filter((item) => item !== undefined);
  const parts = readParts(items, context, wire);
  const refusal = items.map((item) => (item.type === "message" ? item.refusal : "")).join("");
  const end = answerEnd(finish, {
    calls: parts.some((part) => part.type === "tool_use"),
    ...(refusal === "" ? undefined : { refusal }),
    stopSequences: [],
  });
  const usage =
    readResponseUsage(response["usage"]) ?? estimatedUsage(estimateInputTokens(context.body), lengthOf(items));
  return wholeMessage({ id: messageIdOf(context.callId), model: context.askedModel }, parts, { ...end, usage });
}

function decodeCount({ input_tokens: tokens }: Fields): MessagesAnswer | undefined {
  return typeof tokens === "number" ? { body: Buffer.from(JSON.stringify({ input_tokens: tokens })) } : undefined;
}

function readParts(items: readonly OutputItem[], context: DecodeContext, { account }: Account): WholePart[] {
  const parts: WholePart[] = [];
  const ids = new Set<string>();
  let calls = 0;
  const keepsAll = wantsReasoning(context.body);
  for (const item of items) {
    if (item.type === "message") addText(parts, item.text + item.refusal);
    else if (item.type === "function_call") {
      const id = callerToolId(ids.has(item.id) ? "" : item.id, calls, context);
      ids.add(item.id);
      calls += 1;
      parts.push({ type: "tool_use", id, name: callerToolName(item.name, context.body), args: item.args });
    } else if (item.text !== "" || (keepsAll && item.encrypted !== ""))
      parts.push({ type: "thinking", thinking: item.text, signature: reasoningSignature(givenBack(item, account)) });
  }
  return parts;
}

/** What was said in several messages with nothing between them is one text. */
function addText(parts: WholePart[], text: string): void {
  const last = parts.at(-1);
  if (text === "") return;
  if (last?.type === "text") parts[parts.length - 1] = { type: "text", text: `${last.text}\n\n${text}` };
  else parts.push({ type: "text", text });
}

function lengthOf(items: readonly OutputItem[]): number {
  let length = 0;
  for (const item of items) {
    if (item.type === "function_call") length += item.args.length;
    else length += item.text.length + (item.type === "message" ? item.refusal.length : 0);
  }
  return length;
}
