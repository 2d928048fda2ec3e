import { describe, expect, test } from "vitest";
import { billUsage, formatUsd, type Bill, type Price } from "./cost.ts";
import { readUsage } from "./usage.ts";

const opus: Price = {
  rates: { input: 5, output: 25, cacheWrite5m: 6.25, cacheWrite1h: 10, cacheRead: 0.5 },
  batch: 0.5,
  geo: { us: 1.1 },
  speed: { fast: 2 },
  webSearch: 10,
};
const haiku: Price = {
  rates: { input: 0.1, output: 0.5, cacheWrite5m: 0.125, cacheWrite1h: 0.2, cacheRead: 0.01 },
  longPrompt: {
    above: 100_000,
    rates: { input: 0.5, output: 2.5, cacheWrite5m: 0.625, cacheWrite1h: 1, cacheRead: 0.05 },
  },
};
const prices: Readonly<Record<string, Price>> = { opus, haiku };

function bill(usage: Readonly<Record<string, unknown>>, model = "opus"): Bill {
  const read = readUsage(usage);
  if (!read) throw new Error("no usage");
  return billUsage(read, model, { find: (name) => prices[name], describe: (name) => `${name} at home` });
}

function usdOf({ cost }: Bill): string {
  return "unknown" in cost ? cost.unknown : formatUsd(cost.total);
}

test("every counter has its own price, cache writes by their time to live", () => {
  const usage = {
    input_tokens: 1000,
    output_tokens: 200,
    cache_creation_input_tokens: 3000,
    cache_creation: { ephemeral_5m_input_tokens: 1000, ephemeral_1h_input_tokens: 2000 },
    cache_read_input_tokens: 10_000,
  };
  expect(bill(usage)).toEqual({
    tokens: { input: 1000, output: 200, cacheWrite5m: 1000, cacheWrite1h: 2000, cacheRead: 10_000, webSearches: 0 },
    cost: {
      total: 41_250_000,
      input: 5_000_000,
      output: 5_000_000,
      cacheCreation: 26_250_000,
      cacheRead: 5_000_000,
      serverTools: 0,
    },
  });
});

test("cache writes that are not split were for five minutes", () => {
  expect(bill({ cache_creation_input_tokens: 1000 }).cost).toMatchObject({ cacheCreation: 6_250_000 });
});

test("beyond its limit a long prompt makes every token dearer, cached ones counted in", () => {
  const at = { input_tokens: 50_000, cache_read_input_tokens: 50_000, output_tokens: 1000 };
  expect(usdOf(bill(at, "haiku"))).toBe("0.006");
  expect(usdOf(bill({ ...at, cache_read_input_tokens: 50_001 }, "haiku"))).toBe("0.03000005");
});

describe("what the answer says of itself changes the price", () => {
  const million = { input_tokens: 1_000_000 };
  test.each([
    [{}, "5"],
    [{ service_tier: "standard", speed: "standard", inference_geo: "global" }, "5"],
    [{ service_tier: "batch" }, "2.5"],
    [{ inference_geo: "us" }, "5.5"],
    [{ speed: "fast" }, "10"],
    [{ speed: "fast", inference_geo: "us", service_tier: "batch" }, "5.5"],
    [{ inference_geo: "constructor" }, "5"],
  ])("%j", (marks, usd) => {
    expect(usdOf(bill({ ...million, ...marks }))).toBe(usd);
  });

  test("searches cost by the thousand", () => {
    const searched = bill({ server_tool_use: { web_search_requests: 3, web_fetch_requests: 9 } });
    expect(searched.cost).toMatchObject({ serverTools: 30_000_000, total: 30_000_000 });
    expect(searched.tokens.webSearches).toBe(3);
  });
});

describe("a price that is not known says so", () => {
  test("of a model", () => {
    expect(bill({ input_tokens: 7 }, "house")).toMatchObject({
      tokens: { input: 7 },
      cost: { unknown: "no price of house at home is known" },
    });
  });
  test("of a speed", () => {
    const cost = { unknown: "no price of haiku at home at this speed is known" };
    for (const speed of ["fast", "constructor"]) expect(bill({ input_tokens: 7, speed }, "haiku").cost).toEqual(cost);
  });
  test("of searches", () => {
    const cost = { unknown: "no price of a web search of haiku at home is known" };
    expect(bill({ server_tool_use: { web_search_requests: 1 } }, "haiku").cost).toEqual(cost);
  });
});

describe("iterations", () => {
  const top = { input_tokens: 10, output_tokens: 10 };
  test("are summed in place of the counters above them, each at its own model's price", () => {
    const iterations = [
      { type: "compaction", input_tokens: 1000, output_tokens: 100 },
      { type: "message", input_tokens: 10, output_tokens: 10 },
      { type: "advisor_message", model: "haiku", input_tokens: 1000, output_tokens: 0, cache_read_input_tokens: null },
    ];
    const { tokens, cost } = bill({ ...top, iterations });
    expect(tokens).toMatchObject({ input: 2010, output: 110 });
    expect(cost).toMatchObject({ input: 5_150_000, output: 2_750_000 });
  });

  test("with a model of no known price leave the call without one", () => {
    const iterations = [{ type: "fallback_message", model: "stranger", input_tokens: 1 }];
    expect(bill({ ...top, iterations }).cost).toEqual({ unknown: "no price of stranger at home is known" });
  });

  test("that are none are not looked at, and nonsense among them counts as nothing", () => {
    expect(bill({ ...top, iterations: [] }).tokens).toMatchObject({ input: 10 });
    expect(bill({ ...top, iterations: [null, 5, { input_tokens: "x" }] }).tokens).toMatchObject({ input: 0 });
  });
});

test("dollars are written in plain digits", () => {
  expect([0, 1, 10, 1_000_000_000, 1_500_000_000, 100_000_000_000].map(formatUsd)).toEqual([
    "0",
    "0.000000001",
    "0.00000001",
    "1",
    "1.5",
    "100",
  ]);
});
