import type { CallBodyFacts } from "#shared/messages/body.ts";
import { ratesFor, type CostEstimate, type Price } from "#shared/messages/cost.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { estimatePromptTokens } from "#shared/messages/prompt-tokens.ts";
import type { PriceBook } from "./price-book.ts";

interface PricedBody {
  readonly bytes: Buffer;
  readonly facts: Pick<CallBodyFacts, "maxTokens">;
  /** Every model that may answer, by any of its names. */
  readonly models: readonly string[];
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Above what a token takes in any language. */
const bytesPerToken = 2;

/**
 * What a call may cost, at the list price of the dearest of its
 * models and targets, all of its prompt written to the cache if it has marks, all of `max_tokens` used. What tools of the
 * provider add to it, and what its URLs and files hold, nobody knows before. Throws `forbidden` when a price is not known.
 */
export function estimateCost(body: PricedBody, prices: PriceBook): CostEstimate {
  const { bytes, facts } = body;
  const prompt = estimatePromptTokens(bytes, bytesPerToken);
  const isMarked = bytes.includes('"cache_control"');
  let [amount, promptAmount] = [0, 0];
  for (const name of body.models) {
    const price = prices.find(name, undefined, body.at);
    if (price === undefined) throw unpriced(name);
    const rates = ratesFor(price, prompt);
    const scale = factorOf(price, bytes) * 1000;
    const inputRate = isMarked ? Math.max(rates.input, rates.cacheWrite5m, rates.cacheWrite1h) : rates.input;
    promptAmount = Math.max(promptAmount, prompt * rates.input * scale);
    amount = Math.max(amount, (prompt * inputRate + (facts.maxTokens ?? 0) * rates.output) * scale);
  }
  return { amount: Math.ceil(amount), promptAmount: Math.ceil(promptAmount) };
}

/** Where the body speaks of a place or a speed, the dearest of them. */
function factorOf({ geo, speed }: Price, bytes: Buffer): number {
  const byGeo = geo && bytes.includes('"inference_geo"') ? Math.max(1, ...Object.values(geo)) : 1;
  const bySpeed = speed && bytes.includes('"speed"') ? Math.max(1, ...Object.values(speed)) : 1;
  return byGeo * bySpeed;
}

function unpriced(model: string): GatewayError {
  const name = model.slice(0, 200);
  const wayOut = `whoever runs this gateway can set models.${name}.price in its config`;
  return new GatewayError(
    "forbidden",
    `This key has a budget, and no price of the model ${JSON.stringify(name)} is known: ${wayOut}.`,
  );
}
