import { errorEnvelope, errorHeaders, toGatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";

/** An outcome that says what was thrown, in Anthropic's envelope; no provider was involved. */
export function errorOutcome(reason: unknown, callId: string): Outcome {
  const error = toGatewayError(reason);
  return {
    code: error.code,
    status: error.status,
    headers: { "content-type": "application/json", ...errorHeaders(error) },
    body: Buffer.from(JSON.stringify(errorEnvelope(error, callId))),
    attempts: [],
    waits: [],
    notes: [],
  };
}
