import { errorEnvelope, GatewayError } from "./error.ts";
import type { Outcome } from "./outcome.ts";

/** How an item of a batch ended, in the words of its results line. */
export const itemEnds = ["succeeded", "errored", "canceled", "expired"] as const;
export type ItemEnd = (typeof itemEnds)[number];

/** The end of an item and what its results line says of it. */
export interface ItemResult {
  readonly end: ItemEnd;
  /** JSON on one line: the Message, or the error's whole envelope; empty for the other two. */
  readonly payload: Buffer;
}

const nothing = Buffer.alloc(0);
export const canceledItem: ItemResult = { end: "canceled", payload: nothing };
export const expiredItem: ItemResult = { end: "expired", payload: nothing };

/** `expiresAt`: an item whose time ran out with its batch has expired; a lone provider's silence is an error. */
export function itemResult(callId: string, outcome: Outcome, expiresAt: number): ItemResult {
  if (outcome.code === "cancelled") return canceledItem;
  if (outcome.code === "timed_out" && Date.now() >= expiresAt) return expiredItem;
  const isSuccess = outcome.code === "ok" && outcome.status === 200;
  if (isJsonObject(outcome.body)) return { end: isSuccess ? "succeeded" : "errored", payload: onOneLine(outcome.body) };
  const error = new GatewayError("internal", "The provider's answer could not be read.");
  return erroredItem(error, callId);
}

export function erroredItem(error: GatewayError, requestId: string): ItemResult {
  return { end: "errored", payload: Buffer.from(JSON.stringify(errorEnvelope(error, requestId))) };
}

const payloadNames = { succeeded: "message", errored: "error" } as const;

/** One line of the results, its newline included. */
export function resultLine(customId: string, { end, payload }: ItemResult): Buffer {
  const head = `{"custom_id":${JSON.stringify(customId)},"result":{"type":"${end}"`;
  if (end === "canceled" || end === "expired") return Buffer.from(`${head}}}\n`);
  return Buffer.concat([Buffer.from(`${head},"${payloadNames[end]}":`), payload, Buffer.from("}}\n")]);
}

function isJsonObject(body: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** In JSON a line break stands between values only, where a space does as well. */
function onOneLine(json: Buffer): Buffer {
  if (!json.includes(0x0a) && !json.includes(0x0d)) return json;
  return Buffer.from(json).map((byte) => (byte === 0x0a || byte === 0x0d ? 0x20 : byte)) as Buffer;
}
