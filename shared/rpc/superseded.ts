import { GatewayError } from "#shared/messages/error.ts";

const mark = Symbol("superseded");

/** A `cancelled` error for a call that a higher delivery has taken over: its former owner settles nothing. */
export function supersededError(): GatewayError {
  return new GatewayError("cancelled", "The call was taken over by a later delivery.", { cause: mark });
}

export function isSuperseded(error: unknown): boolean {
  return error instanceof GatewayError && error.cause === mark;
}
