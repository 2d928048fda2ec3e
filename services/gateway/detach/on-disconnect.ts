import type { IncomingHttpHeaders } from "node:http";
import { GatewayError } from "#shared/messages/error.ts";
import { readIdempotencyKey } from "../call/idempotency-key.ts";

const name = "x-sluice-on-disconnect";

/**
 * What becomes of a stream whose caller leaves: it is cancelled, or goes on for `GET /v1/jobs/{id}/events`. Throws
 * `invalid_request` for anything else.
 */
export function readOnDisconnect(headers: IncomingHttpHeaders): "cancel" | "detach" {
  const asked = headers[name];
  if (asked === undefined || asked === "" || asked === "cancel") return "cancel";
  if (asked === "detach") {
    // Each is a way to a stream that was lost, with a recording of its own.
    if (readIdempotencyKey(headers) !== undefined)
      throw new GatewayError("invalid_request", `${name}: 'detach' cannot be combined with idempotency-key`, {
        where: name,
      });
    return "detach";
  }
  throw new GatewayError("invalid_request", `${name}: Input should be 'cancel' or 'detach'`, { where: name });
}

/** A whole answer has nothing that could be read on. */
export function checkDetachable(onDisconnect: "cancel" | "detach", isStream: boolean): void {
  if (onDisconnect === "detach" && !isStream)
    throw new GatewayError("invalid_request", `${name}: 'detach' is for streams only`, { where: name });
}
