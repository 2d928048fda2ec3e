import type { CallBodyFacts } from "#shared/messages/body.ts";
import type { CallHead } from "#shared/messages/call.ts";
import { nanosPerUsd } from "#shared/messages/cost.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { BudgetConfig } from "#shared/config/schema.ts";
import { budgetPeriod, nextBudgetPeriod, type Hold } from "#shared/store/budget-store.ts";
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
  const state = await deps.budgets
    .reserve(hold, budget.usd * nanosPerUsd, lastMs + holdMarginMs)
    .catch((cause: unknown) => {
      throw new GatewayError("overloaded", "This key's budget cannot be looked up now.", { retryAfterS: 1, cause });
    });
  if (state.ok) return hold;
  throw spent(budget, state.spent < budget.usd * nanosPerUsd);
}

function spent({ usd, per }: BudgetConfig, isHeld: boolean): GatewayError {
  const what = `This key's budget of $${usd} a ${per}`;
  if (isHeld)
    return new GatewayError("spent", `${what} is held by calls that run; what they do not use is free when they end.`, {
      retryAfterS: 1,
      shouldRetry: true,
    });
  const next = new Date(nextBudgetPeriod(per, Date.now())).toISOString();
  return new GatewayError("spent", `${what} is spent. The next one begins at ${next}.`, { shouldRetry: false });
}
