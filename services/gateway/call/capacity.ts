import type { CallHead } from "#shared/messages/call.ts";
import { joinNotes } from "#shared/messages/notes.ts";
import type { CallFacts, Outcome, Wait } from "#shared/messages/outcome.ts";

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

/** What a call went through before it was opened again. */
export type Trail = Pick<CallFacts, "attempts" | "waits" | "notes">;

/** The facts of what came last as those of the whole call. */
export function behind<T extends Trail>(trail: Trail | undefined, facts: T): T {
  if (trail === undefined) return facts;
  return {
    ...facts,
    attempts: [...trail.attempts, ...facts.attempts],
    waits: [...trail.waits, ...facts.waits],
    notes: joinNotes(trail.notes, facts.notes),
  };
}
