import { billUsage, type Bill } from "#shared/messages/cost.ts";
import type { CallFacts } from "#shared/messages/outcome.ts";
import type { PriceBook } from "./price-book.ts";

/**
 * What a call used and costs, at the price of the model that served it; undefined when nothing is known of its usage.
 * `model`: the one that was asked for. `at`: milliseconds since the epoch.
 */
export function billCall(
  facts: CallFacts,
  { model, at }: { model: string; at: number },
  prices: PriceBook,
): Bill | undefined {
  const { usage, provider } = facts;
  if (usage === undefined) return undefined;
  return billUsage(usage, facts.model ?? model, {
    find: (name) => prices.find(name, provider, at),
    describe: (name) => prices.describe(name, provider),
  });
}
