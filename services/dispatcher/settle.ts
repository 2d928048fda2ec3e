import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob, JobRecord } from "#shared/queue/job.ts";
import { sleep, withDeadline } from "#shared/runtime/deadline.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import type { Recorder } from "./recorder.ts";

interface Settlement {
  /** If it says where its outcome is recorded, nobody waits for a reply. */
  readonly job: CallJob;
  readonly callId: string;
  readonly outcome: Outcome;
  /** The asking gateway's channel. */
  readonly replyTo: string;
  readonly deadlineAt: number;
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
  readonly recorders: Partial<Record<JobRecord["kind"], Recorder>>;
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
      const deadline = withDeadline(signal, Math.max(settlement.deadlineAt, Date.now() + graceMs));
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
    deps.logger.warn({ callId: settlement.callId, code: settlement.outcome.code }, "outcome given up, Redis was away");
    deps.metrics.settledTotal.inc({ result: "given_up" });
    return "given_up";
  }
}

async function settleOnce(settlement: Settlement, deps: SettlerDeps): Promise<SettleResult | undefined> {
  try {
    const result = await record(settlement, deps);
    deps.metrics.settledTotal.inc({ result });
    return result;
  } catch (reason) {
    deps.logger.debug({ callId: settlement.callId, err: reason }, "outcome not recorded yet");
    return undefined;
  }
}

function record({ job, callId, outcome, replyTo }: Settlement, deps: SettlerDeps): Promise<"recorded" | "already"> {
  const recorder = job.record && deps.recorders[job.record.kind];
  return recorder ? recorder.record(job, outcome) : deps.results.settle(callId, outcome, replyTo);
}
