import type { Bill, CostEstimate } from "#shared/messages/cost.ts";
import type { CallHead } from "#shared/messages/call.ts";
import type { CallFacts } from "#shared/messages/outcome.ts";
import type { BudgetStore, Hold } from "./budget-store.ts";
import type { UsageStore } from "./usage-store.ts";

interface UsedCallFacts {
  readonly head: Pick<CallHead, "operation" | "keyId" | "model">;
  readonly facts: Pick<CallFacts, "code" | "provider" | "model">;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  readonly bill: Bill | undefined;
}

/** A call at its end. */
export interface EndedCall extends UsedCallFacts {
  readonly hold: Hold | undefined;
  /** Another call's answer, or none was asked for: it costs nothing. */
  readonly isFree: boolean;
}

export interface SpendStores {
  readonly usage: Pick<UsageStore, "add">;
  readonly budgets: Pick<BudgetStore, "settle">;
}

/** Adds an ended call to what its key used, and settles its budget. */
export function recordSpend(call: EndedCall, { usage, budgets }: SpendStores): void {
  if (call.hold) budgets.settle(call.hold, chargeOf(call.hold, call));
  addUsage(call, usage);
}

/** Adds an ended call to what its key used. Counts are free and not added. */
export function addUsage({ head, facts, endedAt, bill }: UsedCallFacts, usage: SpendStores["usage"]): void {
  if (head.operation !== "messages") return;
  usage.add({
    keyId: head.keyId,
    model: facts.model ?? head.model,
    provider: facts.provider ?? "",
    endedAt,
    isFailed: facts.code !== "ok",
    bill,
  });
}

/**
 * What a call takes from its key's budget at its end. What is not known is put high: the estimate for an unknown price,
 * the prompt for an answer that nobody heard out.
 */
export function chargeOf(
  hold: CostEstimate,
  { bill, facts: { code }, isFree }: Pick<EndedCall, "bill" | "facts" | "isFree">,
): number {
  if (isFree) return 0;
  if (bill === undefined) return code === "cancelled" || code === "timed_out" ? hold.promptAmount : 0;
  return "unknown" in bill.cost ? hold.amount : bill.cost.total;
}
