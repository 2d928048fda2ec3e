import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { Lane } from "#shared/queue/job.ts";
import type { ResultStore } from "#shared/store/result-store.ts";

interface AbandonedJob {
  readonly callId: string;
  readonly lane: Lane;
  /** Milliseconds since the epoch: by then no copy of the job can matter. */
  readonly until: number;
}

/** What is known of the job: never given to a worker, perhaps given to one. */
type Abandoning = "never_ran" | "may_have_run";

/** Jobs whose callers need no answer from the queue any more: they left, or the call went another way. */
export interface AbandonedJobs {
  /**
   * Marks the call as cancelled, tells the dispatchers and takes a waiting job out. Never rejects: what Redis is away
   * for is done when it is back.
   */
  abandon(job: AbandonedJob): Promise<Abandoning>;
  close(): void;
}

const retryMs = 1000;

export function createAbandonedJobs(deps: {
  readonly producer: JobProducer;
  readonly results: ResultStore;
}): AbandonedJobs {
  const owed = new Map<string, AbandonedJob>();
  let timer: NodeJS.Timeout | undefined;

  async function abandon(job: AbandonedJob): Promise<Abandoning> {
    try {
      // The mark goes first: a job that a dispatcher takes between the two is then dropped by it.
      const [, result] = await Promise.all([
        deps.results.cancel(job.callId, job.until),
        deps.producer.remove(job.lane, job.callId),
      ]);
      owed.delete(job.callId);
      return result === "removed" ? "never_ran" : "may_have_run";
    } catch {
      owed.set(job.callId, job);
      timer ??= setTimeout(retry, retryMs).unref();
      return "may_have_run";
    }
  }
  function retry(): void {
    timer = undefined;
    const now = Date.now();
    for (const job of owed.values()) {
      if (job.until > now) void abandon(job);
      else owed.delete(job.callId);
    }
  }
  return { abandon, close: () => clearTimeout(timer) };
}
