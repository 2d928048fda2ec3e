import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { errorEnvelope, type GatewayError } from "#shared/messages/error.ts";
import { writeAnswer } from "../answer.ts";
import { answerFromOutcome } from "../answer-headers.ts";
import type { OpenCall } from "./open-call.ts";

/** Answers a call that was accepted and cannot be begun, and gives back what it holds. */
export async function refuseCall(call: OpenCall, error: GatewayError): Promise<void> {
  await call.claim?.release();
  const { id } = call.head;
  const outcome = errorOutcome(error, id);
  writeAnswer(call.response, id, answerFromOutcome(outcome));
  const told = errorEnvelope(error, id).error;
  call.end({ status: outcome.status, requestId: id, facts: outcome, isFree: true, error: told, where: error.where });
}
