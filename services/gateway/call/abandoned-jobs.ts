import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { Lane } from "#shared/queue/job.ts";
import type { CallRegistry } from "#shared/store/call-registry.ts";

export interface AbandonedJob {
  readonly callId: string;
  readonly lane: Lane;
  /** Milliseconds since the epoch: by then no copy of the job can matter. */
  readonly until: number;
  /** Who leaves: its reply channel, and its name among the call's callers. */
  readonly caller: { readonly channel: string; readonly id: string };
}

/** What came of it: never given to a worker, perhaps given to one; or others wait for the call, and it goes on. */
export type Abandoning = "never_ran" | "may_have_run" | "joined";

/** Jobs whose callers need no answer from the queue any more: they left, or the call went another way. */
export interface AbandonedJobs {
  /**
   * Unless others wait for the call, marks it as cancelled, tells the dispatchers and takes out a job that never ran; one
   * of a lost dispatcher is dropped for its mark by the next. Never rejects: what Redis is away for is done when it is back.
   */
  abandon(job: AbandonedJob): Promise<Abandoning>;
  /** The same after a while in which a retry may join the call; at once while Redis is away. */
  abandonLater(job: AbandonedJob): Promise<Abandoning>;
  close(): void;
}

const retryMs = 1000;

export function createAbandonedJobs(deps: {
  readonly producer: Pick<JobProducer, "remove">;
  readonly calls: CallRegistry;
  readonly lingerMs: number;
}): AbandonedJobs {
  const { producer, calls, lingerMs } = deps;
  const owed = new Map<string, AbandonedJob>();
  let timer: NodeJS.Timeout | undefined;

  async function abandon(job: AbandonedJob): Promise<Abandoning> {
    try {
      // The mark goes first: a job that a dispatcher takes between the two is then dropped by it.
      const result = await calls.abandon(job.callId, job.caller, job.until);
      if (result === "joined") return result;
      const removed = await producer.remove(job.lane, job.callId);
      owed.delete(job.callId);
      return removed === "removed" ? "never_ran" : "may_have_run";
    } catch {
      owed.set(job.callId, job);
      timer ??= setTimeout(retry, retryMs).unref();
      return "may_have_run";
    }
  }
  async function abandonLater(job: AbandonedJob): Promise<Abandoning> {
    const until = Date.now() + lingerMs;
    const isLeft = await calls.leave(job.callId, job.caller, until).then(
      () => true,
      () => false,
    );
    if (isLeft) await new Promise((resolve) => setTimeout(resolve, until - Date.now()).unref());
    return abandon(job);
  }
  function retry(): void {
    timer = undefined;
    const now = Date.now();
    for (const job of owed.values()) {
      if (job.until > now) void abandon(job);
      else owed.delete(job.callId);
    }
  }
  return { abandon, abandonLater, close: () => clearTimeout(timer) };
}
