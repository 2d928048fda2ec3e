import type { Price, Rates } from "#shared/messages/cost.ts";
import type { BuiltinPrice, BuiltinRates } from "./builtin-models.ts";

/** A price and since when it holds, in milliseconds since the epoch. */
export interface DatedPrice {
  readonly since: number;
  readonly price: Price;
}

/** The prices of an entry of models.yaml, newest first. */
export function readPrices(written: readonly BuiltinPrice[] = []): readonly DatedPrice[] {
  return written.map((one) => ({
    since: one.since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(`${one.since}T00:00:00Z`),
    price: readPrice(one),
  }));
}

function readPrice({
  rates,
  long_prompt: long,
  batch,
  inference_geo: geo,
  speed,
  web_search: webSearch,
}: BuiltinPrice): Price {
  return {
    rates: readRates(rates),
    batch,
    ...(long === undefined ? {} : { longPrompt: { above: long.above, rates: readRates(long.rates) } }),
    ...(geo === undefined ? {} : { geo }),
    ...(speed === undefined ? {} : { speed }),
    ...(webSearch === undefined ? {} : { webSearch }),
  };
}

function readRates(written: BuiltinRates): Rates {
  const { input, output, cache_write_5m: cacheWrite5m, cache_write_1h: cacheWrite1h, cache_read: cacheRead } = written;
  return { input, output, cacheWrite5m, cacheWrite1h, cacheRead };
}

/** The same price, every token of it times a factor. */
export function scalePrice(price: Price, factor: number): Price {
  const { longPrompt } = price;
  return {
    ...price,
    rates: scaleRates(price.rates, factor),
    ...(longPrompt === undefined
      ? {}
      : { longPrompt: { above: longPrompt.above, rates: scaleRates(longPrompt.rates, factor) } }),
  };
}

function scaleRates({ input, output, cacheWrite5m, cacheWrite1h, cacheRead }: Rates, factor: number): Rates {
  return {
    input: input * factor,
    output: output * factor,
    cacheWrite5m: cacheWrite5m * factor,
    cacheWrite1h: cacheWrite1h * factor,
    cacheRead: cacheRead * factor,
  };
}
