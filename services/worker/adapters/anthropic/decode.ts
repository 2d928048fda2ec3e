import { readMessageFacts } from "#shared/messages/message-facts.ts";
import type { DecodeContext, MessagesAnswer, UpstreamHead } from "../adapter.ts";
import { isEncoded } from "./is-encoded.ts";

/**
 * The answer's bytes as they came, with what we need to know of them. Undefined for an error status, and for a success
 * status with an error document, a page, half a document or compressed bytes behind it.
 */
export function decode(context: DecodeContext, head: UpstreamHead, body: Buffer): MessagesAnswer | undefined {
  if (head.status < 200 || head.status >= 300 || isEncoded(head)) return undefined;
  if (context.operation === "count_tokens") return isCount(body) ? { body } : undefined;
  const { type, id, usage, containerId } = readMessageFacts(body);
  if (type !== "message") return undefined;
  return {
    body,
    ...(usage ? { usage } : undefined),
    ...(id === undefined ? undefined : { messageId: id }),
    ...(containerId === undefined ? undefined : { containerId }),
  };
}

function isCount(body: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null && "input_tokens" in value;
  } catch {
    return false;
  }
}
