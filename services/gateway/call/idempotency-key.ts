import type { IncomingHttpHeaders } from "node:http";
import { GatewayError } from "#shared/messages/error.ts";

const longestKey = 255;

/** The caller's `Idempotency-Key`, if there is one. Throws `invalid_request` for one that cannot be a key. */
export function readIdempotencyKey(headers: IncomingHttpHeaders): string | undefined {
  const value = headers["idempotency-key"];
  const key = (Array.isArray(value) ? value.join(", ") : value)?.trim();
  if (key === undefined || key === "") return undefined;
  if (key.length > longestKey)
    throw new GatewayError("invalid_request", `idempotency-key: at most ${longestKey} characters.`, {
      where: "idempotency-key",
    });
  return key;
}

/** Whether an official SDK sends this call again. */
export function isSdkRetry(headers: IncomingHttpHeaders): boolean {
  const count = headers["x-stainless-retry-count"];
  return count !== undefined && Number(count) >= 1;
}
