import type { CostEstimate } from "#shared/messages/cost.ts";
import type { GatewayError } from "#shared/messages/error.ts";
import { budgetPeriod, type BudgetStore, type Charge, type Hold } from "#shared/store/budget-store.ts";
import type { ItemRef } from "#shared/store/item-store.ts";
import { budgetNanos, spentBudget } from "#shared/store/spent-budget.ts";
import type { KeyBudgets } from "../key-budgets.ts";
import { itemCallId } from "./item-job.ts";

export interface ItemBudgetDeps {
  readonly budgets: Pick<BudgetStore, "reserve">;
  readonly keyBudgets: Pick<KeyBudgets, "find">;
}

interface BudgetedItem {
  readonly callId: string;
  /** Who made its batch. */
  readonly keyId: string;
  /** Absent when its key had no budget then: it holds nothing, and is paid all the same. */
  readonly estimate?: CostEstimate | undefined;
}

/** What a dispatcher that dies may leave held beyond the end of the batch. */
const marginMs = 600_000;
const nothing: CostEstimate = { amount: 0, promptAmount: 0 };

/** What an item holds that is sent now; undefined when its key has no budget. */
export function itemHold(
  { callId, keyId, estimate }: BudgetedItem,
  { keyBudgets }: Pick<ItemBudgetDeps, "keyBudgets">,
): Hold | undefined {
  const budget = keyBudgets.find(keyId);
  return budget && { callId, keyId, period: budgetPeriod(budget.per, Date.now()), ...(estimate ?? nothing) };
}

/** For an item that ends without having run: whatever a lost process held for it is given back. */
export function freeOfCharge(
  { batchId, index, keyId }: ItemRef,
  deps: Pick<ItemBudgetDeps, "keyBudgets">,
): Charge | undefined {
  const hold = itemHold({ callId: itemCallId(batchId, index), keyId }, deps);
  return hold && { hold, cost: 0 };
}

/**
 * Holds it, once however often it is asked, and at most a little beyond the time when its batch expires. Resolves with
 * the reason why not. Rejects while Redis is away.
 */
export async function reserveItem(
  hold: Hold,
  expiresAt: number,
  { budgets, keyBudgets }: ItemBudgetDeps,
): Promise<GatewayError | undefined> {
  const budget = keyBudgets.find(hold.keyId);
  if (!budget) return undefined;
  const holdMs = Math.max(0, expiresAt - Date.now()) + marginMs;
  const state = await budgets.reserve(hold, budgetNanos(budget), holdMs);
  return state.ok ? undefined : spentBudget(budget, state);
}
