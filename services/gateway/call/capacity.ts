import type { CallHead } from "#shared/messages/call.ts";
import type { Outcome, Wait } from "#shared/messages/outcome.ts";

const mostSpreadMs = 100;

/** Until when the owner of a call should wait before it opens it again; undefined: the outcome is its answer. */
export function mayWaitUntil(outcome: Outcome, head: CallHead): number | undefined {
  const until = outcome.blockedUntil;
  return until !== undefined && until <= head.waitUntil && until < head.deadlineAt ? until : undefined;
}

/** So that calls which wait for the same reset do not all come at its first millisecond. */
export function spreadMs(): number {
  return Math.random() * mostSpreadMs;
}

export function capacityWait(startedAt: number): Wait {
  return { kind: "capacity", startedAt, endedAt: Date.now() };
}
