import type { IncomingHttpHeaders } from "node:http";
import type { FastifyRequest } from "fastify";
import { isSdkRetry, readIdempotencyKey } from "./idempotency-key.ts";
import { readPreference, type Preference } from "./preference.ts";

/** What a caller asks of a call beyond its body. */
export interface CallWishes {
  readonly idempotencyKey: string | undefined;
  readonly preference: Preference | undefined;
  readonly isRetry: boolean;
  /** What stands before `/v1/` in the path that was asked. */
  readonly pathPrefix: string;
}

/** Undefined for nearly every call: then it is simply made. Throws `invalid_request`. */
export function readCallWishes({ headers, url }: FastifyRequest): CallWishes | undefined {
  if (!hasWishes(headers)) return undefined;
  const isRetry = isSdkRetry(headers);
  const [idempotencyKey, preference] = [readIdempotencyKey(headers), readPreference(headers)];
  if (!isRetry && idempotencyKey === undefined && preference === undefined) return undefined;
  return { idempotencyKey, preference, isRetry, pathPrefix: url.slice(0, Math.max(0, url.indexOf("/v1/"))) };
}

/** False for nearly every call: then it is simply made. */
function hasWishes(headers: IncomingHttpHeaders): boolean {
  return headers["idempotency-key"] !== undefined || headers["prefer"] !== undefined || isSdkRetry(headers);
}
