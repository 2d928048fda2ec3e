import { errorOutcome } from "./error-outcome.ts";
import { GatewayError } from "./error.ts";
import type { CallFacts, Outcome } from "./outcome.ts";

/** In the trace of a canceled job: whoever had it in hand did not say in time what had come of it. */
export const attemptsIncomplete = "attempts_incomplete";

/** The outcome of an asynchronous call that its caller has ended; `facts`: what had come of it by then. */
export function canceledOutcome(callId: string, facts: Partial<CallFacts> = {}): Outcome {
  const error = new GatewayError("conflict", "The job was canceled.", { shouldRetry: false });
  return { ...errorOutcome(error, callId, facts), code: "cancelled" };
}

/** Whether a provider may have worked on a canceled job that nobody heard out. */
export function endsInHand({ attempts, notes }: Pick<CallFacts, "attempts" | "notes">): boolean {
  return attempts.at(-1)?.reason === "cancelled" || notes.includes(attemptsIncomplete);
}
