import type { Usage } from "#shared/messages/usage.ts";
import type { ChatFinish } from "../openai/chat-end.ts";
import { readChatUsage } from "../openai/chat-usage.ts";
import { isFields, type Fields } from "../translate/reading.ts";

/** How a response says it ended, in the words of Chat Completions; undefined when it failed, or has not ended. */
export function readEnd({ status, incomplete_details: details, error }: Fields): ChatFinish | undefined {
  if (isFields(error)) return undefined;
  if (status === "incomplete") {
    const isFiltered = isFields(details) && details["reason"] === "content_filter";
    return { reason: isFiltered ? "content_filter" : "length" };
  }
  // Compatible servers leave it out.
  return status === "completed" || status === undefined ? { reason: "stop" } : undefined;
}

/** The same counters as those of Chat Completions, by other names. */
export function readResponseUsage(usage: unknown): Usage | undefined {
  if (!isFields(usage)) return undefined;
  return readChatUsage({
    prompt_tokens: usage["input_tokens"],
    completion_tokens: usage["output_tokens"],
    total_tokens: usage["total_tokens"],
    prompt_tokens_details: usage["input_tokens_details"],
    completion_tokens_details: usage["output_tokens_details"],
  });
}

/** Whether the caller wants to have reasoning, be it unreadable, to give it back on the next turn. */
export function wantsReasoning(body: Buffer): boolean {
  if (!body.includes('"thinking"')) return false;
  const { thinking } = JSON.parse(body.toString("utf8")) as Fields;
  return isFields(thinking) && thinking["type"] !== "disabled";
}
