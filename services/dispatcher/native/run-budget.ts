import { erroredItem } from "#shared/messages/batch-result.ts";
import type { CostEstimate } from "#shared/messages/cost.ts";
import type { GatewayError } from "#shared/messages/error.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import type { FedItem } from "#shared/store/batch-feed.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import { budgetPeriod, type BudgetStore, type HoldName } from "#shared/store/budget-store.ts";
import type { ItemStore } from "#shared/store/item-store.ts";
import type { NativeRun, NativeRuns } from "#shared/store/native-runs.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { freeOfCharge, itemHold, reserveItem, type ItemBudgetDeps } from "../batches/item-budgets.ts";
import { itemCallId } from "../batches/item-job.ts";

export interface RunBudgetDeps extends ItemBudgetDeps {
  readonly budgets: Pick<BudgetStore, "reserve" | "settle" | "release">;
  readonly prices: PriceBook;
  readonly items: Pick<ItemStore, "record">;
  readonly metrics: Pick<Metrics, "batchItemsTotal">;
}

export interface Admission {
  /** How many of the items, from the first on, may be sent. */
  readonly admitted: number;
  /** Why the others may not. */
  readonly refusal?: GatewayError;
}

const reservedAtOnce = 64;

/**
 * The run as it has to be known before anything is held for its items: with the day or month that pays. What is held of
 * another is given back.
 */
export async function withPeriod(
  batch: BatchRecord,
  run: NativeRun,
  deps: RunBudgetDeps & { readonly runs: Pick<NativeRuns, "put"> },
): Promise<NativeRun> {
  const budget = deps.keyBudgets.find(batch.keyId);
  const period = budget && budgetPeriod(budget.per, Date.now());
  if (run.period === period) return run;
  await releaseRun(batch, run, deps);
  const { period: _, ...unheld } = run;
  const known = period === undefined ? unheld : { ...unheld, period };
  await deps.runs.put(batch.id, known);
  return known;
}

/**
 * Holds what each item may cost at the price for batches of the provider that will run it, until the budget lets no
 * more in. Safe to repeat. Rejects while Redis is away.
 */
export async function reserveRun(
  { id, keyId, expiresAt }: BatchRecord,
  { provider, items }: { readonly provider: string; readonly items: readonly FedItem[] },
  deps: RunBudgetDeps,
): Promise<Admission> {
  if (!deps.keyBudgets.find(keyId)) return { admitted: items.length };
  const holds = items.flatMap(({ index, head }) => {
    const estimate = batchEstimate(head, provider, deps.prices);
    return itemHold({ callId: itemCallId(id, index), keyId, estimate }, deps) ?? [];
  });
  for (let from = 0; from < holds.length; from += reservedAtOnce) {
    const some = holds.slice(from, from + reservedAtOnce);
    const refusals = await Promise.all(some.map((hold) => reserveItem(hold, expiresAt, deps)));
    const at = refusals.findIndex((refusal) => refusal !== undefined);
    const refusal = refusals[at];
    if (refusal === undefined) continue;
    // Somebody may have given money back between two of them.
    await deps.budgets.release(some.slice(at));
    return { admitted: from + at, refusal };
  }
  return { admitted: items.length };
}

/** What an item may cost in a batch of the provider's own. */
export function batchEstimate(
  { model, estimate }: FedItem["head"],
  provider: string,
  prices: PriceBook,
): CostEstimate | undefined {
  const factor = prices.find(model, provider, Date.now())?.batch ?? 1;
  return estimate && { amount: estimate.amount * factor, promptAmount: estimate.promptAmount * factor };
}

/** Gives back what items of the run hold that have not ended. */
export async function releaseRun({ id, keyId }: BatchRecord, run: NativeRun, deps: RunBudgetDeps): Promise<void> {
  await deps.budgets.release(run.items.flatMap((index) => runHold({ batchId: id, index, keyId }, run) ?? []));
}

/** What an item of a run holds; undefined when it holds nothing. */
export function runHold(
  { batchId, index, keyId }: { readonly batchId: string; readonly index: number; readonly keyId: string },
  { period }: NativeRun,
): HoldName | undefined {
  return period === undefined ? undefined : { callId: itemCallId(batchId, index), keyId, period };
}

/** Ends items whose key's budget is spent. Twice is harmless. */
export async function refuseItems(
  { id: batchId, keyId }: BatchRecord,
  { items, refusal }: { readonly items: readonly FedItem[]; readonly refusal: GatewayError },
  deps: RunBudgetDeps,
): Promise<void> {
  await Promise.all(
    items.map(async ({ index }) => {
      const item = { batchId, index, keyId };
      const result = erroredItem(refusal, itemCallId(batchId, index));
      const recorded = await deps.items.record(item, result, { charge: freeOfCharge(item, deps) });
      if (recorded === "recorded") deps.metrics.batchItemsTotal.inc({ end: result.end });
    }),
  );
}
