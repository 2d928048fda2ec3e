import { canceledItem, expiredItem, type ItemResult } from "#shared/messages/batch-result.ts";
import { readMessageFacts } from "#shared/messages/message-facts.ts";
import { readNativeResult, type NativeResult } from "#shared/messages/native-result.ts";
import type { CallFacts } from "#shared/messages/outcome.ts";
import { billCall } from "#shared/routing/bill-call.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import type { BatchFeed, FedItem } from "#shared/store/batch-feed.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { BudgetStore } from "#shared/store/budget-store.ts";
import type { ItemStore } from "#shared/store/item-store.ts";
import type { NativeRun } from "#shared/store/native-runs.ts";
import { addUsage, chargeOf } from "#shared/store/record-spend.ts";
import type { UsageStore } from "#shared/store/usage-store.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { itemCallId } from "../batches/item-job.ts";
import { readLines, type AskDeps } from "./ask-worker.ts";
import { batchEstimate, runHold } from "./run-budget.ts";

export interface RecordDeps extends AskDeps {
  readonly feed: Pick<BatchFeed, "describe">;
  readonly items: Pick<ItemStore, "record">;
  readonly prices: PriceBook;
  readonly usage: Pick<UsageStore, "add">;
  readonly budgets: Pick<BudgetStore, "settle">;
  readonly metrics: Pick<Metrics, "batchItemsTotal">;
}

/** Errors that another try may not meet; everything else is the caller's own. */
const retryable: ReadonlySet<string> = new Set([
  "api_error",
  "overloaded_error",
  "rate_limit_error",
  "timeout_error",
  "authentication_error",
  "permission_error",
  "billing_error",
]);

/**
 * Records how the items of a run ended at their provider, and what they used; those that may end better as ordinary calls are left alone.
 * Twice is harmless. Rejects when the results could not be read to their end.
 */
export async function recordResults(
  batch: BatchRecord,
  run: NativeRun & { readonly batchId: string },
  deps: RecordDeps,
): Promise<void> {
  const { keyId, headers } = batch;
  const items = await deps.feed.describe(batch.id, run.items);
  const byId = new Map(items.map((item) => [itemCallId(batch.id, item.index), item]));
  const native = { step: "results", provider: run.provider, id: run.batchId } as const;
  for await (const lines of readLines({ keyId, headers, native }, deps))
    await Promise.all(
      lines.map(async (line) => {
        const result = readNativeResult(line);
        const item = byId.get(result.customId);
        const end = endOf(result, batch);
        if (item && end) await recordEnd({ batch, run, item, end }, deps);
      }),
    );
}

interface Ending {
  readonly batch: BatchRecord;
  readonly run: NativeRun;
  readonly item: FedItem;
  readonly end: ItemResult;
}

async function recordEnd({ batch, run, item, end }: Ending, deps: RecordDeps): Promise<void> {
  const { id: batchId, keyId } = batch;
  const { index, head } = item;
  const endedAt = Date.now();
  const facts = { ...noAttempts, code: codes[end.end], provider: run.provider, model: head.model, ...usageOf(end) };
  const bill = billCall(facts, { model: head.model, at: endedAt }, deps.prices);
  const ref = { batchId, index, keyId };
  const hold = runHold(ref, run);
  const estimate = batchEstimate(head, run.provider, deps.prices) ?? unpriced;
  const charge = hold && { hold, cost: chargeOf(estimate, { bill, facts, isFree: end.end !== "succeeded" }) };
  const recorded = await deps.items.record(ref, end, { charge });
  if (recorded === "recorded") {
    deps.metrics.batchItemsTotal.inc({ end: end.end });
    const isAnswer = end.end === "succeeded" || end.end === "errored";
    const used = { operation: "messages", keyId, model: head.model } as const;
    if (isAnswer) addUsage({ head: used, facts, endedAt, bill }, deps.usage);
  } else if (charge) deps.budgets.settle(charge.hold, charge.cost);
}

const noAttempts = { attempts: [], waits: [], notes: [] };
const codes = { succeeded: "ok", errored: "upstream", canceled: "cancelled", expired: "timed_out" } as const;
const unpriced = { amount: 0, promptAmount: 0 };

/** Whatever the answer says of its service tier, it came out of a batch. */
function usageOf({ end, payload }: ItemResult): Pick<CallFacts, "usage"> {
  const usage = end === "succeeded" ? readMessageFacts(payload).usage : undefined;
  return usage ? { usage: { ...usage, service_tier: "batch" } } : {};
}

/** Undefined for what is to be finished as an ordinary call. */
function endOf({ type, payload, errorType = "" }: NativeResult, batch: BatchRecord): ItemResult | undefined {
  if (type === "succeeded" && payload) return { end: "succeeded", payload: Buffer.from(payload) };
  if (type === "errored" && payload && !retryable.has(errorType))
    return { end: "errored", payload: Buffer.from(payload) };
  if (type === "canceled" && batch.state === "canceling") return canceledItem;
  return type === "expired" && Date.now() >= batch.expiresAt ? expiredItem : undefined;
}
