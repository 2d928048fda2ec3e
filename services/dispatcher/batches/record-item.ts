import { itemResult } from "#shared/messages/batch-result.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import { billCall } from "#shared/routing/bill-call.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import type { ItemStore } from "#shared/store/item-store.ts";
import { recordSpend, type SpendStores } from "#shared/store/record-spend.ts";
import type { StoredTrace, TraceStore } from "#shared/store/trace-store.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import type { Recorder } from "../settle.ts";
import { itemOf } from "./item-job.ts";

export interface ItemRecorderDeps extends SpendStores {
  readonly prices: PriceBook;
  readonly items: Pick<ItemStore, "record">;
  readonly traces: Pick<TraceStore, "put">;
  readonly metrics: Pick<Metrics, "batchItemsTotal">;
}

/** Records how items of batches end. */
export function createItemRecorder(deps: ItemRecorderDeps): Recorder {
  const { items, traces, metrics } = deps;
  return {
    async record(job, outcome) {
      const item = itemOf(job);
      if (!item) throw new Error("not an item of a batch");
      const result = itemResult(job.head.id, outcome, job.head.deadlineAt);
      const recorded = await items.record(item, result, wasRerun(outcome));
      if (recorded === "already") return recorded;
      metrics.batchItemsTotal.inc({ end: result.end });
      const { head } = job;
      const endedAt = Date.now();
      const bill = billCall(outcome, { model: head.model, at: endedAt }, deps.prices);
      recordSpend({ head, facts: outcome, endedAt, bill, hold: undefined, isFree: false }, deps);
      if (isWorthTracing(outcome)) traces.put({ ...traceOf(job, outcome), ...(bill && { cost: bill.cost }) });
      return recorded;
    },
  };
}

function wasRerun({ attempts }: Outcome): boolean {
  return attempts.some(({ rerun }) => rerun === true);
}

/** Of a hundred thousand items that went well at once, the traces would be most of what Redis holds. */
function isWorthTracing({ code, attempts }: Outcome): boolean {
  return code !== "ok" || attempts.length > 1;
}

function traceOf({ head }: CallJob, outcome: Outcome): StoredTrace {
  const { code, provider, usage, attempts, waits, notes, status, headers } = outcome;
  const queueMs = waits.reduce(
    (ms, { kind, startedAt, endedAt }) => ms + (kind === "backoff" ? 0 : endedAt - startedAt),
    0,
  );
  return {
    code,
    attempts,
    waits,
    notes,
    status,
    queueMs,
    ...(provider === undefined ? undefined : { provider }),
    ...(usage === undefined ? undefined : { usage }),
    id: head.id,
    requestId: headers["request-id"] ?? head.id,
    keyId: head.keyId,
    operation: head.operation,
    stream: false,
    model: head.model,
    acceptedAt: head.acceptedAt,
    endedAt: Date.now(),
  };
}
