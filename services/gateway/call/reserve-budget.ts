import type { CallBodyFacts } from "#shared/messages/body.ts";
import type { CallHead } from "#shared/messages/call.ts";
import { nanosPerUsd, ratesFor, type Price } from "#shared/messages/cost.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { BudgetConfig } from "#shared/config/schema.ts";
import { budgetPeriod, nextBudgetPeriod, type Hold } from "#shared/store/budget-store.ts";
import type { GatewayDeps } from "../gateway-deps.ts";

export interface BudgetedCall {
  readonly head: CallHead;
  readonly bytes: Buffer;
  readonly facts: Pick<CallBodyFacts, "maxTokens" | "otherModels">;
}

type BudgetDeps = Pick<GatewayDeps, "budgets" | "prices" | "server">;

/** Above what a token takes in any language; pictures in base64 take far more bytes than tokens. */
const bytesPerToken = 2;
const holdMarginMs = 60_000;

/**
 * Holds the most that a call may cost of its key's budget. Throws `spent` when there is nothing left, `forbidden` when
 * a price is not known, and `overloaded` while Redis is away: then nobody knows what is left.
 */
export async function reserveBudget(call: BudgetedCall, budget: BudgetConfig, deps: BudgetDeps): Promise<Hold> {
  const { head } = call;
  const hold: Hold = {
    callId: head.id,
    keyId: head.keyId,
    period: budgetPeriod(budget.per, head.acceptedAt),
    ...estimate(call, deps),
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

/** At the dearest of the models that the body names, at the price of what it may ask for. */
function estimate({ head, bytes, facts }: BudgetedCall, deps: BudgetDeps): Pick<Hold, "amount" | "promptAmount"> {
  const prompt = Math.ceil(bytes.length / bytesPerToken);
  let [amount, promptAmount] = [0, 0];
  for (const name of [head.model, ...facts.otherModels]) {
    const price = deps.prices.find(name, undefined, head.acceptedAt);
    if (price === undefined) throw unpriced(name);
    const rates = ratesFor(price, prompt);
    const scale = factorOf(price, bytes) * 1000;
    const written = bytes.includes('"cache_control"') ? Math.max(rates.cacheWrite5m, rates.cacheWrite1h) : 0;
    const input = prompt * Math.max(rates.input, written) * scale;
    promptAmount = Math.max(promptAmount, prompt * rates.input * scale);
    amount = Math.max(amount, input + (facts.maxTokens ?? 0) * rates.output * scale);
  }
  return { amount: Math.ceil(amount), promptAmount: Math.ceil(promptAmount) };
}

function factorOf({ geo, speed }: Price, bytes: Buffer): number {
  const byGeo = geo && bytes.includes('"inference_geo"') ? Math.max(1, ...Object.values(geo)) : 1;
  const bySpeed = speed && bytes.includes('"speed"') ? Math.max(1, ...Object.values(speed)) : 1;
  return byGeo * bySpeed;
}

function unpriced(model: string): GatewayError {
  const name = JSON.stringify(model.slice(0, 200));
  return new GatewayError("forbidden", `This key has a budget, and no price of the model ${name} is known.`);
}
