import type { BudgetConfig } from "#shared/config/schema.ts";
import { nanosPerUsd } from "#shared/messages/cost.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { nextBudgetPeriod } from "./budget-store.ts";

export function budgetNanos({ usd }: BudgetConfig): number {
  return usd * nanosPerUsd;
}

/**
 * Why a budget lets nothing in of which so much (billionths of a US dollar) is spent: all of it is, or the rest is held
 * by calls that run, and then trying again is worth it.
 */
export function spentBudget(budget: BudgetConfig, { spent }: { readonly spent: number }): GatewayError {
  const { usd, per } = budget;
  const what = `This key's budget of $${usd} a ${per}`;
  if (spent < budgetNanos(budget))
    return new GatewayError("spent", `${what} is held by calls that run; what they do not use is free when they end.`, {
      retryAfterS: 1,
      shouldRetry: true,
    });
  const next = new Date(nextBudgetPeriod(per, Date.now())).toISOString();
  const words = `${what} is spent. The next one begins at ${next}: ask again then, or have the budget raised.`;
  return new GatewayError("spent", words, { shouldRetry: false });
}
