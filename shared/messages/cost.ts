import { readUsage, type Usage } from "./usage.ts";

/** US dollars per million tokens. */
export interface Rates {
  readonly input: number;
  readonly output: number;
  readonly cacheWrite5m: number;
  readonly cacheWrite1h: number;
  readonly cacheRead: number;
}

/** What a model costs; factors are of every token. */
export interface Price {
  readonly rates: Rates;
  /** Holds for every token of a request whose prompt, cached parts included, is longer than `above` tokens. */
  readonly longPrompt?: { readonly above: number; readonly rates: Rates };
  /** For the service tier `batch`. */
  readonly batch?: number;
  /** By `usage.inference_geo`; any other place is the usual price. */
  readonly geo?: Readonly<Record<string, number>>;
  /** By `usage.speed`; a speed that is not here, other than `standard`, has no known price. */
  readonly speed?: Readonly<Record<string, number>>;
  /** US dollars per thousand. */
  readonly webSearch?: number;
}

/** The prices at one provider, of models by the names that its answers give them. */
export interface PriceList {
  /** Undefined when it is not known. */
  find(model: string): Price | undefined;
  /** Whose price that is, for people: `gpt-6 at openai`. */
  describe(model: string): string;
}

/** A call's price, split over its counters, in billionths of a US dollar: whole numbers, which add up without error. */
interface Cost {
  readonly total: number;
  readonly input: number;
  readonly output: number;
  readonly cacheCreation: number;
  readonly cacheRead: number;
  /** Searches. */
  readonly serverTools: number;
}

interface UnknownCost {
  /** Why, for people. */
  readonly unknown: string;
}

/** What has been used, all parts of a call together. */
interface Tokens {
  readonly input: number;
  readonly output: number;
  readonly cacheWrite5m: number;
  readonly cacheWrite1h: number;
  readonly cacheRead: number;
  readonly webSearches: number;
}

export interface Bill {
  readonly tokens: Tokens;
  readonly cost: Cost | UnknownCost;
}

/** What is thought of a call's price before it is made, in billionths of a US dollar. */
export interface CostEstimate {
  /** The most that it may cost. */
  readonly amount: number;
  /** What it costs if nobody learns what was used: its prompt. */
  readonly promptAmount: number;
}

export const nanosPerUsd = 1e9;
/** A rate of a dollar per million is a thousand billionths per token. */
const nanosPerRate = 1000;

/**
 * What a call used and costs, by its final usage. Where there are `iterations` they are summed: the counters above do
 * not cover those of other models, compactions among them.
 */
export function billUsage(usage: Usage, model: string, prices: PriceList): Bill {
  const parts = partsOf(usage, model);
  const webSearches = usage.server_tool_use?.["web_search_requests"] ?? 0;
  if (parts.length === 1) {
    const part = parts[0]!;
    return {
      tokens: { ...part.tokens, webSearches },
      cost: costOfParts(parts, { usage, model, webSearches, prices }),
    };
  }
  const tokens = { input: 0, output: 0, cacheWrite5m: 0, cacheWrite1h: 0, cacheRead: 0, webSearches };
  for (const part of parts) {
    tokens.input += part.tokens.input;
    tokens.output += part.tokens.output;
    tokens.cacheWrite5m += part.tokens.cacheWrite5m;
    tokens.cacheWrite1h += part.tokens.cacheWrite1h;
    tokens.cacheRead += part.tokens.cacheRead;
  }
  return { tokens, cost: costOfParts(parts, { usage, model, webSearches, prices }) };
}

type Counters = Omit<Tokens, "webSearches">;

interface Part {
  readonly model: string;
  readonly tokens: Counters;
}

function partsOf(usage: Usage, model: string): readonly Part[] {
  const { iterations } = usage;
  if (iterations === undefined || iterations.length === 0) return [{ model, tokens: countersOf(usage) }];
  return iterations.map((iteration) => {
    const part = readUsage(iteration);
    const named = part && (iteration as { readonly model?: unknown }).model;
    return { model: typeof named === "string" ? named : model, tokens: countersOf(part ?? nothing) };
  });
}

const nothing: Usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

/** A stream's last word on cache writes may be without their times to live; what is not split was for five minutes. */
function countersOf(usage: Usage): Counters {
  const { cache_creation_input_tokens: written, cache_creation_1h: long = 0 } = usage;
  const cacheWrite1h = Math.min(long, written);
  return {
    input: usage.input_tokens,
    output: usage.output_tokens,
    cacheWrite5m: written - cacheWrite1h,
    cacheWrite1h,
    cacheRead: usage.cache_read_input_tokens,
  };
}

interface PriceInput {
  readonly usage: Usage;
  readonly model: string;
  readonly webSearches: number;
  readonly prices: PriceList;
}

function costOfParts(parts: readonly Part[], { usage, model, webSearches, prices }: PriceInput): Bill["cost"] {
  let input = 0;
  let output = 0;
  let cacheCreation = 0;
  let cacheRead = 0;
  for (const part of parts) {
    const price = prices.find(part.model);
    if (price === undefined) return { unknown: `no price of ${prices.describe(part.model)} is known` };
    const factor = factorOf(price, usage);
    if (factor === undefined) return { unknown: `no price of ${prices.describe(part.model)} at this speed is known` };
    const { tokens } = part;
    const rates = ratesFor(price, promptTokens(tokens));
    const scale = factor * nanosPerRate;
    input += Math.round(tokens.input * rates.input * scale);
    output += Math.round(tokens.output * rates.output * scale);
    cacheCreation += Math.round(
      (tokens.cacheWrite5m * rates.cacheWrite5m + tokens.cacheWrite1h * rates.cacheWrite1h) * scale,
    );
    cacheRead += Math.round(tokens.cacheRead * rates.cacheRead * scale);
  }
  const serverTools = webSearches === 0 ? 0 : searchCost(webSearches, prices.find(model));
  if (serverTools === undefined) return { unknown: `no price of a web search of ${prices.describe(model)} is known` };
  return {
    total: input + output + cacheCreation + cacheRead + serverTools,
    input,
    output,
    cacheCreation,
    cacheRead,
    serverTools,
  };
}

function promptTokens({ input, cacheWrite5m, cacheWrite1h, cacheRead }: Counters): number {
  return input + cacheWrite5m + cacheWrite1h + cacheRead;
}

/** The rates for a prompt of so many tokens. */
export function ratesFor({ rates, longPrompt }: Price, tokens: number): Rates {
  return longPrompt !== undefined && tokens > longPrompt.above ? longPrompt.rates : rates;
}

function factorOf(price: Price, { speed, inference_geo: geo, service_tier: tier }: Usage): number | undefined {
  let factor = 1;
  if (speed !== undefined && speed !== "standard") {
    const bySpeed = own(price.speed, speed);
    if (bySpeed === undefined) return undefined;
    factor *= bySpeed;
  }
  if (geo !== undefined) factor *= own(price.geo, geo) ?? 1;
  if (tier === "batch") factor *= price.batch ?? 1;
  return factor;
}

/** The word comes from an answer: it finds nothing but what was put there. */
function own(factors: Readonly<Record<string, number>> | undefined, word: string): number | undefined {
  return factors !== undefined && Object.hasOwn(factors, word) ? factors[word] : undefined;
}

function searchCost(webSearches: number, price: Price | undefined): number | undefined {
  const perThousand = price?.webSearch;
  return perThousand === undefined ? undefined : Math.round((webSearches * perThousand * nanosPerUsd) / 1000);
}

/** Billionths of a dollar as dollars, in plain digits. */
export function formatUsd(nanos: number): string {
  return (nanos / nanosPerUsd).toFixed(9).replace(/\.?0+$/, "");
}
