import { waitedMs } from "#shared/messages/outcome.ts";
import { billCall } from "#shared/routing/bill-call.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import { writeJobEnd, type JobEndStores } from "#shared/store/write-job-end.ts";
import { describeEnd } from "#shared/telemetry/describe-end.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Recorder } from "./settle.ts";

export interface JobRecorderDeps extends JobEndStores {
  readonly prices: PriceBook;
  readonly results: Pick<ResultStore, "settle">;
  readonly logger: Logger;
}

/** Keeps the outcomes of asynchronous calls until they are collected, and writes down what a gateway would. */
export function createJobRecorder(deps: JobRecorderDeps): Recorder {
  const { results, logger } = deps;
  return {
    async record({ head, hold, replyTo, keepMs }, outcome) {
      const result = await results.settle(head.id, outcome, replyTo, keepMs);
      if (result === "already") return result;
      const endedAt = Date.now();
      const { status, code } = outcome;
      const { id: callId, keyId, operation, model, acceptedAt } = head;
      const bill = billCall(outcome, { model, at: endedAt }, deps.prices);
      writeJobEnd({ head, outcome, endedAt, bill, hold }, deps);
      logger.info(
        {
          callId,
          requestId: outcome.headers["request-id"] ?? callId,
          keyId,
          operation,
          model,
          status,
          code,
          ...describeEnd(outcome, bill),
          ms: endedAt - acceptedAt,
          queueMs: waitedMs(outcome.waits),
        },
        "job",
      );
      return result;
    },
  };
}
