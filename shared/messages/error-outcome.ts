import { errorEnvelope, errorHeaders, type GatewayError } from "./error.ts";
import type { CallFacts, Outcome } from "./outcome.ts";

/** The outcome of a call that ended by our own word; `requestId` stands in the body and the header alike. */
export function errorOutcome(error: GatewayError, requestId: string, facts: Partial<CallFacts> = {}): Outcome {
  return {
    attempts: [],
    waits: [],
    notes: [],
    ...facts,
    code: error.code,
    status: error.status,
    headers: { "content-type": "application/json", "request-id": requestId, ...errorHeaders(error) },
    body: Buffer.from(JSON.stringify(errorEnvelope(error, requestId))),
  };
}
