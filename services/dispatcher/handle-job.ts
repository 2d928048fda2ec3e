import type { CallBody, CallHead, SentNote } from "#shared/messages/call.ts";
import { canceledOutcome } from "#shared/messages/canceled-outcome.ts";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { toGatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob, Lane } from "#shared/queue/job.ts";
import type { JobContext, ParkUntil } from "#shared/queue/job-consumer.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import type { CallRegistry } from "#shared/store/call-registry.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { type Admission, admitAtOnce, admitJob, type AdmitDeps } from "./admit-job.ts";
import { createLastWords, type LastWords } from "./last-words.ts";
import { parkUntil } from "./park.ts";
import { timeIsUp, type RunningCalls } from "./running-calls.ts";
import type { Settler } from "./settle.ts";
import { trailOf, wholeOutcome } from "./trail.ts";

export interface JobHandlerDeps extends AdmitDeps {
  readonly pool: Pick<WorkerPool, "invoke">;
  readonly settler: Settler;
  readonly calls: Pick<CallRegistry, "laterDeadline">;
  readonly running: RunningCalls;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "queueWaitSeconds" | "parkedTotal" | "redeliveredTotal">;
  /** A background job found that interactive calls use what its targets take. */
  readonly onStoodBack: () => void;
}

export type JobHandler = (job: CallJob, context: JobContext) => Promise<ParkUntil | undefined>;

/** Without any worker a job that may wait is tried again this often. */
const noWorkerParkMs = 1000;

/**
 * What happens to a job of a lane: it is dropped when its call is answered or cancelled already; otherwise a worker gets
 * it, and its outcome is settled before the job is removed, or the job is parked until a limit resets. That an
 * asynchronous call was cancelled is an outcome too, which somebody may ask for.
 */
export function createJobHandler(lane: Lane, deps: JobHandlerDeps): JobHandler {
  const asJob = lane === "background" ? asBackground : asItIs;
  const waited = deps.metrics.queueWaitSeconds.labels(lane);
  const redelivered = deps.metrics.redeliveredTotal.labels(lane);
  const parked = deps.metrics.parkedTotal.labels(lane);
  return async (taken, context) => {
    const job = asJob(taken);
    const takenAt = Date.now();
    if (context.redelivered) redelivered.inc();
    else if (!job.trail) waited.observe(Math.max(0, takenAt - job.enqueuedAt) / 1000);
    const admission = admitAtOnce(job, context, deps) ?? (await admitJob(job, context, deps));
    const ended = admission.drop ? endOfDropped(job, admission) : await runCall(job, { ...context, admission }, deps);
    // Given back meanwhile: whoever takes the job next gets the call from its worker.
    if (!ended || context.signal.aborted) return undefined;
    if (ended.outcome.stoodBack) deps.onStoodBack();
    const outcome = wholeOutcome(job, ended.outcome, takenAt);
    if (ended.parkUntil !== undefined) {
      parked.inc();
      ended.release?.();
      return { parkUntil: ended.parkUntil, trail: trailOf(outcome, Date.now()) };
    }
    const settling = deps.settler.settle({ job, outcome }, context.signal);
    // What a recorder does is more than the outcome.
    if (!job.record) context.removeWhenAnswered();
    await settling;
    // Not before: while Redis is away the asking gateway finds the outcome at the worker, and nobody pays twice.
    ended.release?.();
    return undefined;
  };
}

function endOfDropped({ head, record }: CallJob, { canceled }: Admission): CallEnd | undefined {
  return canceled && record?.kind === "job" ? { outcome: canceledOutcome(head.id) } : undefined;
}

function asItIs(job: CallJob): CallJob {
  return job;
}

/** Whatever lies in the background lane takes only what interactive calls leave, whoever put it there. */
function asBackground(job: CallJob): CallJob {
  return job.head.priority === "background" ? job : { ...job, head: { ...job.head, priority: "background" } };
}

export interface RunContext extends JobContext {
  readonly admission: Admission;
  /** What a delivery had asked that came to no end. */
  readonly sentBefore?: SentNote;
  readonly onSent?: (note: SentNote) => void;
}

/** How a call ended: with an outcome, or to be tried again at a time. */
export interface CallEnd {
  readonly outcome: Outcome;
  readonly parkUntil?: number | undefined;
  /** Lets the worker forget the outcome. */
  readonly release?: (() => void) | undefined;
}

/** Undefined when the end is not ours to tell. */
export async function runCall(job: CallJob, context: RunContext, deps: JobHandlerDeps): Promise<CallEnd | undefined> {
  const head = await withLaterDeadline(job.head, deps);
  if (Date.now() >= head.deadlineAt) return { outcome: errorOutcome(timeIsUp(context.redelivered), head.id) };
  const call = deps.running.open(head.id, head.deadlineAt);
  const reopened = context.redelivered || context.admission.doubtful;
  const lastWords = job.record?.kind === "job" ? createLastWords(reopened) : undefined;
  let release: (() => void) | undefined;
  try {
    const outcome = await deps.pool.invoke(
      {
        head,
        body: bodyOf(job),
        delivery: context.delivery,
        ...(context.sentBefore ? { sentBefore: context.sentBefore } : undefined),
      },
      {
        signal: call.signal,
        keepOrphan: true,
        reopened,
        hold: (letGo) => (release = letGo),
        ...(context.onSent ? { onSent: context.onSent } : undefined),
        ...lastWords?.listen,
      },
    );
    return { outcome, release, parkUntil: parkingTime(job, outcome) };
  } catch (reason) {
    return endOfFailure(job, { reason, signal: call.signal, lastWords }, deps);
  } finally {
    call.close();
  }
}

/** Who joined the call may have given it more time than its first caller had; asked only when that is over. */
async function withLaterDeadline(head: CallHead, { calls }: JobHandlerDeps): Promise<CallHead> {
  if (Date.now() < head.deadlineAt) return head;
  const later = await calls.laterDeadline(head.id).catch(() => undefined);
  return later === undefined || later <= head.deadlineAt ? head : { ...head, deadlineAt: later };
}

function bodyOf(job: CallJob): CallBody {
  return job.bodyKey === undefined ? { bytes: Buffer.from(job.body ?? "") } : { key: job.bodyKey };
}

function parkingTime({ head }: CallJob, { blockedUntil }: Outcome): number | undefined {
  if (blockedUntil === undefined) return undefined;
  return parkUntil({ blockedUntil, waitUntil: head.waitUntil, now: Date.now() });
}

interface CallFailure {
  readonly reason: unknown;
  /** Of the call, not of the job. */
  readonly signal: AbortSignal;
  readonly lastWords: LastWords | undefined;
}

function endOfFailure(
  { head }: CallJob,
  { reason, signal, lastWords }: CallFailure,
  deps: JobHandlerDeps,
): CallEnd | undefined {
  const error = toGatewayError(signal.aborted ? signal.reason : reason);
  if (error.code === "cancelled") {
    // Nobody asks what came of it, or a later delivery has the call now and will settle it.
    if (!lastWords || !signal.aborted) return undefined;
    return { outcome: canceledOutcome(head.id, lastWords.facts()) };
  }
  // Not to be tried again: it took its workers with it, or a provider may have been paid for it.
  const isHopeless = error.code !== "overloaded" || error.shouldRetry === false;
  const again = Date.now() + noWorkerParkMs;
  if (error.code === "internal") deps.logger.error({ callId: head.id, err: error }, "call failed in the dispatcher");
  return { outcome: errorOutcome(error, head.id), parkUntil: isHopeless || again > head.waitUntil ? undefined : again };
}
