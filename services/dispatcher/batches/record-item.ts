import { itemResult } from "#shared/messages/batch-result.ts";
import type { Bill } from "#shared/messages/cost.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import { billCall } from "#shared/routing/bill-call.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import type { Charge } from "#shared/store/budget-store.ts";
import type { ItemStore } from "#shared/store/item-store.ts";
import { addUsage, chargeOf, type SpendStores } from "#shared/store/record-spend.ts";
import type { StoredTrace, TraceStore } from "#shared/store/trace-store.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import type { Recorder } from "../settle.ts";
import { itemHold, type ItemBudgetDeps } from "./item-budgets.ts";
import { itemOf } from "./item-job.ts";
import { endsUnanswered } from "./retry-item.ts";

export interface ItemRecorderDeps extends SpendStores, Pick<ItemBudgetDeps, "keyBudgets"> {
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
      const { head } = job;
      const endedAt = Date.now();
      const bill = billCall(outcome, { model: head.model, at: endedAt }, deps.prices);
      const charge = chargeFor(job, { outcome, bill }, deps);
      const recorded = await items.record(item, result, { wasRerun: wasRerun(outcome), charge });
      if (recorded === "already") {
        // By this same outcome, and then nothing is held any more, or by another that came first.
        if (charge) deps.budgets.settle(charge.hold, charge.cost);
        return recorded;
      }
      metrics.batchItemsTotal.inc({ end: result.end });
      // Not asked for, like a call that is refused.
      if (outcome.code !== "spent") addUsage({ head, facts: outcome, endedAt, bill }, deps.usage);
      if (isWorthTracing(outcome)) traces.put({ ...traceOf(job, outcome), ...(bill && { cost: bill.cost }) });
      return recorded;
    },
  };
}

/** What the item's key pays for it: nothing, unless a provider answered or may still have been at it. */
function chargeFor(
  job: CallJob,
  { outcome, bill }: { readonly outcome: Outcome; readonly bill: Bill | undefined },
  deps: Pick<ItemBudgetDeps, "keyBudgets">,
): Charge | undefined {
  const { id: callId, keyId } = job.head;
  const hold = job.hold ?? itemHold({ callId, keyId, estimate: job.estimate }, deps);
  const isFree = bill === undefined && !endsUnanswered(outcome.attempts);
  return hold && { hold, cost: chargeOf(hold, { bill, facts: outcome, isFree }) };
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
