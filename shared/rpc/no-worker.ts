import { GatewayError } from "#shared/messages/error.ts";

/** For a call that found no worker to run it in time. */
export function noWorker(): GatewayError {
  return new GatewayError("overloaded", "No worker is available.", { retryAfterS: 1 });
}
