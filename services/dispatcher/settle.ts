import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob, JobRecord } from "#shared/queue/job.ts";
import { sleep, withDeadline } from "#shared/runtime/deadline.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";

/** Writes down the outcome of a job that no gateway waits for; once, whatever comes twice. Rejects while Redis is away. */
export interface Recorder {
  record(job: CallJob, outcome: Outcome): Promise<"recorded" | "already">;
}

/** By what the job is for. */
export type Recorders = Readonly<Partial<Record<JobRecord["kind"], Recorder>>>;

interface Settlement {
  readonly job: CallJob;
  readonly outcome: Outcome;
}

type SettleResult = "recorded" | "already" | "given_up";

export interface Settler {
  /**
   * Records an outcome, for as long as Redis is away trying again. Resolves when it is recorded, or when nobody waits
   * for it any more (its deadline has passed) or the signal aborts. Until then the job must not be completed: a call
   * that has neither outcome nor job would be made again.
   */
  settle(settlement: Settlement, signal: AbortSignal): Promise<SettleResult>;
  /** Outcomes that wait for Redis. */
  readonly unsettled: number;
}

export interface SettlerDeps {
  readonly redis: RedisConnection;
  readonly results: Pick<ResultStore, "settle">;
  readonly recorders: Recorders;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "settledTotal">;
}

/** Redis is there and refused all the same: it loads its data, is out of memory, or is a replica just now. */
const retryMs = 250;
/** An outcome whose deadline is over, a time-out above all, gets this long. */
const graceMs = 5000;

export function createSettler(deps: SettlerDeps): Settler {
  let unsettled = 0;
  return {
    settle: async (settlement, signal) => {
      const first = await settleOnce(settlement, deps);
      if (first) return first;
      unsettled += 1;
      const deadline = withDeadline(signal, Math.max(settlement.job.head.deadlineAt, Date.now() + graceMs));
      try {
        return await keepTrying(settlement, deadline.signal, deps);
      } finally {
        unsettled -= 1;
        deadline.clear();
      }
    },
    get unsettled() {
      return unsettled;
    },
  };
}

async function keepTrying(settlement: Settlement, signal: AbortSignal, deps: SettlerDeps): Promise<SettleResult> {
  try {
    for (;;) {
      if (deps.redis.isReady) await sleep(retryMs, signal);
      else await deps.redis.ready(signal);
      const result = await settleOnce(settlement, deps);
      if (result) return result;
    }
  } catch {
    deps.logger.warn(
      { callId: settlement.job.head.id, code: settlement.outcome.code },
      "outcome given up, Redis was away",
    );
    deps.metrics.settledTotal.inc({ result: "given_up" });
    return "given_up";
  }
}

async function settleOnce({ job, outcome }: Settlement, deps: SettlerDeps): Promise<SettleResult | undefined> {
  const recorder = job.record && deps.recorders[job.record.kind];
  try {
    const result = recorder
      ? await recorder.record(job, outcome)
      : await deps.results.settle(job.head.id, outcome, job.replyTo, job.keepMs);
    deps.metrics.settledTotal.inc({ result });
    return result;
  } catch (reason) {
    deps.logger.debug({ callId: job.head.id, err: reason }, "outcome not recorded yet");
    return undefined;
  }
}
