import type { CallBody, SentNote } from "#shared/messages/call.ts";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { toGatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob, Lane } from "#shared/queue/job.ts";
import type { JobContext, ParkUntil } from "#shared/queue/job-consumer.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { type Admission, admitJob, type AdmitDeps } from "./admit-job.ts";
import { parkUntil } from "./park.ts";
import { timeIsUp, type RunningCalls } from "./running-calls.ts";
import type { Settler } from "./settle.ts";
import { trailOf, wholeOutcome } from "./trail.ts";

export interface JobHandlerDeps extends AdmitDeps {
  readonly pool: Pick<WorkerPool, "invoke">;
  readonly settler: Settler;
  readonly running: RunningCalls;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "queueWaitSeconds" | "parkedTotal" | "redeliveredTotal">;
}

export type JobHandler = (job: CallJob, context: JobContext) => Promise<ParkUntil | undefined>;

/** Without any worker a job that may wait is tried again this often. */
const noWorkerParkMs = 1000;

/**
 * What happens to a job of a lane: it is dropped when its call is answered or cancelled already; otherwise a worker gets
 * it, and its outcome is settled before the job is completed, or the job is parked until a limit resets.
 */
export function createJobHandler(lane: Lane, deps: JobHandlerDeps): JobHandler {
  const waited = deps.metrics.queueWaitSeconds.labels(lane);
  const redelivered = deps.metrics.redeliveredTotal.labels(lane);
  const parked = deps.metrics.parkedTotal.labels(lane);
  return async (job, context) => {
    const takenAt = Date.now();
    if (context.redelivered) redelivered.inc();
    else waited.observe(Math.max(0, takenAt - job.enqueuedAt) / 1000);
    const admission = await admitJob(job, context, deps);
    if (admission.drop) return undefined;
    const ended = await runCall(job, { ...context, admission }, deps);
    // Given back meanwhile: whoever takes the job next gets the call from its worker.
    if (!ended || context.signal.aborted) return undefined;
    const outcome = wholeOutcome(job, ended.outcome, takenAt);
    if (ended.parkUntil !== undefined) {
      parked.inc();
      return { parkUntil: ended.parkUntil, trail: trailOf(outcome, Date.now()) };
    }
    const { id: callId, deadlineAt } = job.head;
    await deps.settler.settle({ job, callId, outcome, replyTo: job.replyTo, deadlineAt }, context.signal);
    return undefined;
  };
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
}

/** Undefined when the end is not ours to tell. */
export async function runCall(job: CallJob, context: RunContext, deps: JobHandlerDeps): Promise<CallEnd | undefined> {
  const { head } = job;
  if (Date.now() >= head.deadlineAt) return { outcome: errorOutcome(timeIsUp(context.redelivered), head.id) };
  const call = deps.running.open(head.id, head.deadlineAt);
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
        reopened: context.redelivered || context.admission.doubtful,
        ...(context.onSent ? { onSent: context.onSent } : undefined),
      },
    );
    return outcome.blockedUntil === undefined ? { outcome } : parkOrAnswer(job, outcome, outcome.blockedUntil);
  } catch (reason) {
    return endOfFailure(job, call.signal.aborted ? call.signal.reason : reason, deps);
  } finally {
    call.close();
  }
}

function bodyOf(job: CallJob): CallBody {
  return job.bodyKey === undefined ? { bytes: Buffer.from(job.body ?? "") } : { key: job.bodyKey };
}

function parkOrAnswer({ head }: CallJob, outcome: Outcome, blockedUntil: number): CallEnd {
  return { outcome, parkUntil: parkUntil({ blockedUntil, waitUntil: head.waitUntil, now: Date.now() }) };
}

function endOfFailure({ head }: CallJob, reason: unknown, deps: JobHandlerDeps): CallEnd | undefined {
  const error = toGatewayError(reason);
  // The caller is gone, or a later delivery has the call now and will settle it.
  if (error.code === "cancelled") return undefined;
  // Not to be tried again: it took its workers with it, or a provider may have been paid for it.
  const isHopeless = error.code !== "overloaded" || error.shouldRetry === false;
  const again = Date.now() + noWorkerParkMs;
  if (error.code === "internal") deps.logger.error({ callId: head.id, err: error }, "call failed in the dispatcher");
  return { outcome: errorOutcome(error, head.id), parkUntil: isHopeless || again > head.waitUntil ? undefined : again };
}
