import type { CallBodyFacts } from "#shared/messages/body.ts";
import type { CallHead } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { BudgetConfig } from "#shared/config/schema.ts";
import { budgetPeriod, type Hold } from "#shared/store/budget-store.ts";
import { budgetNanos, spentBudget } from "#shared/store/spent-budget.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { estimateCost } from "#shared/routing/estimate-cost.ts";

export interface BudgetedCall {
  readonly head: CallHead;
  readonly bytes: Buffer;
  readonly facts: Pick<CallBodyFacts, "maxTokens" | "otherModels">;
}

type BudgetDeps = Pick<GatewayDeps, "budgets" | "prices" | "server">;

const holdMarginMs = 60_000;

/**
 * Holds the most that a call may cost of its key's budget. Throws `spent` when there is nothing left, `forbidden` when
 * a price is not known, and `overloaded` while Redis is away: then nobody knows what is left.
 */
export async function reserveBudget(call: BudgetedCall, budget: BudgetConfig, deps: BudgetDeps): Promise<Hold> {
  const { head, facts } = call;
  const hold: Hold = {
    callId: head.id,
    keyId: head.keyId,
    period: budgetPeriod(budget.per, head.acceptedAt),
    ...estimateCost({ ...call, models: [head.model, ...facts.otherModels], at: head.acceptedAt }, deps.prices),
  };
  const lastMs = Math.max(head.deadlineAt - head.acceptedAt, head.stream ? deps.server.maxStreamMs : 0);
  const state = await deps.budgets.reserve(hold, budgetNanos(budget), lastMs + holdMarginMs).catch(rejectUnknown);
  if (state.ok) return hold;
  throw spentBudget(budget, state);
}

/** Throws `spent` when there is nothing left of a key's budget, and `overloaded` while Redis is away. */
export async function checkBudget(
  keyId: string,
  budget: BudgetConfig,
  { budgets }: Pick<GatewayDeps, "budgets">,
): Promise<void> {
  const state = await budgets.read(keyId, budgetPeriod(budget.per, Date.now())).catch(rejectUnknown);
  if (state.spent >= budgetNanos(budget)) throw spentBudget(budget, state);
}

function rejectUnknown(cause: unknown): never {
  throw new GatewayError("overloaded", "This key's budget cannot be looked up now.", { retryAfterS: 1, cause });
}
