import type { Attempt, AttemptReason, Outcome } from "#shared/messages/outcome.ts";
import type { CallJob, CallTrail } from "#shared/queue/job.ts";
import { fullJitter } from "#shared/runtime/backoff.ts";

const backoff = { baseMs: 1000, maxMs: 60_000 };
const heldBackoff = { baseMs: 250, maxMs: 10_000 };
/** Attempts that ended so: an item that providers fail on again and again is perhaps what they fail on. */
const mostServerErrors = 10;
/** While every account of ours is refused its operator has this long to act. */
const operatorsMs = 3_600_000;
/** An item may wait a day for capacity; of so many tries the last ones tell enough. */
const mostKept = 20;

const unanswered: ReadonlySet<AttemptReason> = new Set([
  "reset",
  "no_status",
  "stream_cut",
  "worker_lost",
  "timed_out",
]);

/**
 * When an item whose outcome may be another next time is tried again, undefined when the outcome is its end. There is no
 * client behind a batch that would retry, so the dispatcher does: for want of capacity until the batch expires, after
 * server errors a few times, while providers refuse our accounts for an hour. What was sent and not answered is tried once more in all, if only want of capacity kept the
 * worker from doing so at once.
 */
export function retryItemAt(job: CallJob, outcome: Outcome, now: number): number | undefined {
  if (!mayEndBetter(job, outcome, now)) return undefined;
  if (endsUnanswered(outcome.attempts) && !(wantsCapacity(outcome) && mayBeRerun(outcome.attempts))) return undefined;
  const retryAfterMs = Number(outcome.headers["retry-after"] ?? 0) * 1000;
  const pauseMs = Math.max(retryAfterMs, fullJitter((job.parked ?? 0) + 1, backoff));
  const at = Math.round(now + Math.max(pauseMs, backoff.baseMs / 2));
  return at < job.head.waitUntil ? at : undefined;
}

function mayEndBetter(job: CallJob, outcome: Outcome, now: number): boolean {
  if (outcome.code === "ok") return false;
  if (outcome.code === "upstream_refused") return now - job.enqueuedAt < operatorsMs;
  if (outcome.headers["x-should-retry"] === "false") return false;
  return wantsCapacity(outcome) || (isServerError(outcome) && serverErrors(job) < mostServerErrors);
}

/** When an item is tried again whose key's budget is held by others: those end within seconds, or within a day. */
export function retryHeldAt({ parked = 0 }: CallJob, now: number): number {
  return Math.round(now + heldBackoff.baseMs / 2 + fullJitter(parked + 1, heldBackoff));
}

/** Whether the latest attempt was never answered: a provider may be at work on it. */
export function endsUnanswered(attempts: readonly Attempt[]): boolean {
  const last = attempts.at(-1);
  return last !== undefined && isUnanswered(last);
}

/** Whether the latest attempt, which was not answered, is the first such. */
function mayBeRerun(attempts: readonly Attempt[]): boolean {
  return attempts.every(
    (attempt, at) => attempt.rerun !== true && (at === attempts.length - 1 || !isUnanswered(attempt)),
  );
}

/** The outcome without the attempt that its worker was told of, when the job remembers that one by itself. */
export function withoutEcho({ trail }: CallJob, outcome: Outcome): Outcome {
  const isEcho = outcome.attempts[0]?.reason === "worker_lost" && endsUnanswered(trail?.attempts ?? []);
  return isEcho ? { ...outcome, attempts: outcome.attempts.slice(1) } : outcome;
}

/** The job as its next delivery runs it: what was sent twice already may not be sent twice again. */
export function carryRerun(job: CallJob): CallJob["head"] {
  const { trail, head } = job;
  return trail?.attempts.some((attempt) => isUnanswered(attempt) || attempt.rerun === true) === true
    ? { ...head, rerunUsed: true }
    : head;
}

/** A trail that does not grow with every parking: unanswered attempts always stay, of all else the last. */
export function shortened(trail: CallTrail): CallTrail {
  const from = trail.attempts.length - mostKept;
  return {
    ...trail,
    attempts: trail.attempts.filter((attempt, at) => at >= from || isUnanswered(attempt) || attempt.rerun === true),
    waits: trail.waits.slice(-mostKept),
  };
}

function isUnanswered({ reason }: Attempt): boolean {
  return unanswered.has(reason);
}

function wantsCapacity({ code, status }: Outcome): boolean {
  return code === "overloaded" || code === "rate_limited" || status === 429 || status === 529;
}

function isServerError({ code, status }: Outcome): boolean {
  return code === "upstream" && (status >= 500 || status === 408 || status === 409);
}

function serverErrors({ trail }: CallJob): number {
  return trail?.attempts.filter(({ reason }) => reason === "server_error" || reason === "stream_error").length ?? 0;
}
