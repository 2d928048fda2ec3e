import type { DecodeContext, MessagesAnswer, UpstreamHead } from "../adapter.ts";
import { decode as decodeMessages } from "../anthropic/decode.ts";

/** A Message as the Messages API sends it, its bytes kept; a count in the Messages API's words. */
export function decode(context: DecodeContext, head: UpstreamHead, body: Buffer): MessagesAnswer | undefined {
  if (context.operation !== "count_tokens") return decodeMessages(context, head, body);
  const inputTokens = head.status === 200 ? readInputTokens(body) : undefined;
  return inputTokens === undefined ? undefined : { body: Buffer.from(`{"input_tokens":${inputTokens}}`) };
}

function readInputTokens(body: Buffer): number | undefined {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    const count: unknown = typeof value === "object" && value !== null && "inputTokens" in value && value.inputTokens;
    return typeof count === "number" && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
  } catch {
    return undefined;
  }
}
