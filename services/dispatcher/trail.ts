import { joinNotes } from "#shared/messages/notes.ts";
import type { Outcome, Wait } from "#shared/messages/outcome.ts";
import type { CallJob, CallTrail } from "#shared/queue/job.ts";

/** The outcome of a job's latest delivery as that of the whole call: what came before, and its time in the queue. */
export function wholeOutcome(job: CallJob, outcome: Outcome, takenAt: number): Outcome {
  const { trail } = job;
  const waited = waitOf(job, takenAt);
  if (!trail) return { ...outcome, waits: [waited, ...outcome.waits] };
  return {
    ...outcome,
    attempts: [...trail.attempts, ...outcome.attempts],
    waits: [...trail.waits, waited, ...outcome.waits],
    notes: joinNotes(trail.notes, outcome.notes),
  };
}

/** What a job takes along when it is put aside. */
export function trailOf({ attempts, waits, notes }: Outcome, until: number): CallTrail {
  return { attempts, waits, notes, until };
}

function waitOf({ enqueuedAt, trail }: CallJob, takenAt: number): Wait {
  return trail
    ? { kind: "capacity", startedAt: trail.until, endedAt: takenAt }
    : { kind: "queue", startedAt: enqueuedAt, endedAt: takenAt };
}
