import { waitedMs } from "#shared/messages/outcome.ts";
import { billCall } from "#shared/routing/bill-call.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import { recordSpend, type SpendStores } from "#shared/store/record-spend.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import type { TraceStore } from "#shared/store/trace-store.ts";
import { describeEnd } from "#shared/telemetry/describe-end.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { Recorder } from "./settle.ts";

export interface JobRecorderDeps extends SpendStores {
  readonly prices: PriceBook;
  readonly results: Pick<ResultStore, "settle">;
  readonly traces: Pick<TraceStore, "put">;
  readonly logger: Logger;
}

/** Keeps the outcomes of asynchronous calls until they are collected, and writes down what a gateway would. */
export function createJobRecorder(deps: JobRecorderDeps): Recorder {
  const { results, traces, logger } = deps;
  return {
    async record(job, outcome) {
      const { head } = job;
      const result = await results.settle(head.id, outcome, job.replyTo, job.keepMs);
      if (result === "already") return result;
      const endedAt = Date.now();
      const { status, code } = outcome;
      const requestId = outcome.headers["request-id"] ?? head.id;
      const { id: callId, keyId, operation, stream, model, acceptedAt } = head;
      const queueMs = waitedMs(outcome.waits);
      const bill = billCall(outcome, { model, at: endedAt }, deps.prices);
      recordSpend({ head, facts: outcome, endedAt, bill, hold: job.hold, isFree: false }, deps);
      traces.put({
        id: callId,
        requestId,
        keyId,
        operation,
        stream,
        model,
        status,
        code,
        attempts: outcome.attempts,
        waits: outcome.waits,
        notes: [...(head.notes ?? []), ...outcome.notes],
        acceptedAt,
        endedAt,
        queueMs,
        ...(outcome.provider === undefined ? {} : { provider: outcome.provider }),
        ...(outcome.usage === undefined ? {} : { usage: outcome.usage }),
        ...(bill === undefined ? {} : { cost: bill.cost }),
      });
      metrics.jobsTotal.inc({ operation, model, code });
      logger.info(
        {
          callId,
          requestId,
          keyId,
          operation,
          model,
          status,
          code,
          ...describeEnd(outcome, bill),
          ms: endedAt - acceptedAt,
          queueMs,
        },
        "job",
      );
      return result;
    },
  };
}
