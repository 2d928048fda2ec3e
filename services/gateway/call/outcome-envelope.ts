import { errorEnvelope, GatewayError, type ErrorEnvelope } from "#shared/messages/error.ts";

/** An error answer as one line of an `error` event, in its own words where it has any. */
export function envelopeOf(
  answer: { readonly status: number; readonly body: Buffer | string },
  requestId: string,
): ErrorEnvelope {
  try {
    const body: unknown = JSON.parse(answer.body.toString());
    if (typeof body === "object" && body !== null && "error" in body) return body as ErrorEnvelope;
  } catch {
    // Not JSON: said in our own words below.
  }
  return errorEnvelope(new GatewayError("internal", `The provider answered ${answer.status}.`), requestId);
}
