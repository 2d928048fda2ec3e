import { sleep, withDeadline } from "#shared/runtime/deadline.ts";
import type { CallJob } from "#shared/queue/job.ts";
import type { JobContext } from "#shared/queue/job-consumer.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import type { CallState, ResultStore } from "#shared/store/result-store.ts";

export interface AdmitDeps {
  readonly redis: RedisConnection;
  readonly results: Pick<ResultStore, "begin">;
}

export interface Admission {
  /** The call is answered or cancelled: nothing is to be done but to complete the job. */
  readonly drop: boolean;
  /** It is dropped because its caller ended it, and nothing is recorded of that. */
  readonly canceled: boolean;
  /** The call may be in a worker's hands already, on somebody else's word: every worker is to be asked for it first. */
  readonly doubtful: boolean;
}

const retryMs = 250;
/** Well below what a gateway waits for an absent Redis before it asks the workers itself. */
const freshMs = 500;
/** Below what a gateway waits for its job to be written before it gives the call to a worker itself. */
const lateMs = 400;

/** What the queue knew when it handed out the job, unless Redis went away since, or this process stood still. */
export function admitAtOnce(
  job: CallJob,
  { known }: JobContext,
  { redis }: Pick<AdmitDeps, "redis">,
): Admission | undefined {
  if (!redis.isReady || Date.now() - known.at > freshMs) return undefined;
  return admissionOf(known, isLate(job));
}

/** Whether the gateway that waits for the answer may have lost patience with Redis while it wrote the job. */
function isLate({ record, trail, enqueuedAt }: CallJob): boolean {
  return record === undefined && trail === undefined && Date.now() - enqueuedAt > lateMs;
}

/**
 * Asks whether a job still needs doing. Redis may go away right after it handed out the job; then nothing is decided
 * before it is back, or the call's time is over: its gateway does not wait for us, it asks the workers itself.
 */
export async function admitJob(job: CallJob, context: JobContext, deps: AdmitDeps): Promise<Admission> {
  const first = await ask(job, deps);
  // Whoever is told so late of a job may have lost its lock: then another delivery is with a worker.
  if (first) return admissionOf(first, isLate(job) || Date.now() - context.known.at > freshMs);
  const deadline = withDeadline(context.signal, job.head.deadlineAt);
  try {
    for (;;) {
      if (deps.redis.isReady) await sleep(retryMs, deadline.signal);
      else await deps.redis.ready(deadline.signal);
      const state = await ask(job, deps);
      if (state) return admissionOf(state, true);
    }
  } catch {
    return { drop: context.signal.aborted, canceled: false, doubtful: true };
  } finally {
    deadline.clear();
  }
}

function admissionOf({ answered, cancelled }: CallState, doubtful: boolean): Admission {
  return { drop: answered || cancelled, canceled: cancelled && !answered, doubtful };
}

async function ask(job: CallJob, { results }: AdmitDeps): Promise<CallState | undefined> {
  try {
    return await results.begin(job.head.id);
  } catch {
    return undefined;
  }
}
