import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { readModelsFile } from "./builtin-models.ts";
import { checkModels } from "./check-models.ts";

const today = "2026-11-22";

const sound = {
  display_name: "Claude Opus 9",
  line: "opus",
  created_at: "2026-10-01",
  max_input_tokens: 1000,
  max_tokens: 100,
  aliases: ["claude-opus-9-20261001"],
  capabilities: { effort: ["low"], thinking: ["adaptive"] },
  refuses: ["prefill"],
  prices: [
    {
      since: "2026-11-01",
      checked: "2026-11-20",
      source: "vendor",
      rates: { input: 5, output: 25, cache_write_5m: 6.25, cache_write_1h: 10, cache_read: 0.5 },
      batch: 0.5,
    },
    {
      checked: "2026-11-20",
      source: "secondary",
      rates: { input: 6, output: 30, cache_write_5m: 7.5, cache_write_1h: 12, cache_read: 0.6 },
      long_prompt: {
        above: 500,
        rates: { input: 12, output: 60, cache_write_5m: 15, cache_write_1h: 24, cache_read: 1.2 },
      },
      batch: 0.5,
      inference_geo: { us: 1.1 },
      speed: { fast: 2 },
      web_search: 10,
    },
  ],
};

/** The faults of a file with one model, in which the value at a path is another one; undefined: is not there. */
function faultsWith(path: string, value: unknown): string[] {
  const tree = structuredClone({ "claude-opus-9": sound }) as object;
  const parts = `claude-opus-9/${path}`.split("/");
  const last = parts.pop() ?? "";
  let place = tree as Record<string, unknown>;
  for (const part of parts) place = place[part] as Record<string, unknown>;
  if (value === undefined) delete place[last];
  else place[last] = value;
  return checkModels(stringify(tree), today);
}

test("the file that is built in has no fault", () => {
  expect(checkModels(readModelsFile(), today)).toEqual([]);
});

test("every built-in price names the day it was read", () => {
  const models = Object.values(parse(readModelsFile()) as Record<string, typeof sound>);
  expect(models.length).toBeGreaterThan(15);
  for (const { prices = [] } of models) for (const { checked } of prices) expect(checked).toMatch(/^2026-\d\d-\d\d$/);
});

test("a sound model has no fault", () => {
  expect(faultsWith("line", "opus")).toEqual([]);
});

describe("a fault is named with its place", () => {
  test.each([
    ["price", { input: 1 }, "claude-opus-9.price: unknown member (did you mean `prices`?)"],
    [
      "prices/0/rates/cache_reads",
      1,
      "claude-opus-9.prices[0].rates.cache_reads: unknown member (did you mean `cache_read`?)",
    ],
    ["prices/0/rates/cache_write_1h", undefined, "claude-opus-9.prices[0].rates.cache_write_1h: is missing"],
    ["prices/0/batch", undefined, "claude-opus-9.prices[0].batch: is missing"],
    ["prices/0/checked", undefined, "claude-opus-9.prices[0].checked: is missing"],
    ["prices/0/checked", "2027-01-01", "claude-opus-9.prices[0].checked: is in the future"],
    ["prices/0/since", "2026-02-30", "claude-opus-9.prices[0].since: there is no such day"],
    [
      "prices/0/since",
      undefined,
      "claude-opus-9.prices[0].since: is missing: only the oldest price is from the beginning",
    ],
    ["prices/1/since", "2026-10-01", "claude-opus-9.prices[1].since: what the model cost before is missing"],
    ["prices/0/rates/output", 1, "claude-opus-9.prices[0].rates.output: is less than input"],
    ["prices/0/rates/cache_read", 6, "claude-opus-9.prices[0].rates.cache_read: is more than input"],
    ["prices/0/rates/cache_write_5m", 4, "claude-opus-9.prices[0].rates.cache_write_5m: is less than input"],
    ["prices/0/rates/cache_write_1h", 6.2, "claude-opus-9.prices[0].rates.cache_write_1h: is less than for 5 minutes"],
    ["prices/1/long_prompt/rates/input", 5, "claude-opus-9.prices[1].long_prompt: is cheaper than a short one"],
    [
      "aliases",
      ["anthropic/claude-opus-9"],
      "claude-opus-9.aliases: `anthropic/claude-opus-9` is a name of `claude-opus-9` already",
    ],
    ["created_at", "2026-11-31", "claude-opus-9.created_at: there is no such day"],
    ["created_at", "2027-11-01", "claude-opus-9.created_at: is in the future"],
    ["retires_at", "2027-01-01", "claude-opus-9.lifecycle: is active, but the day it retires is known"],
    ["line", "haiku", "claude-opus-9.line: is not in the model's name"],
    ["max_tokens", 2000, "claude-opus-9.max_tokens: is more than the context"],
    [
      "refuses",
      ["prefil"],
      "claude-opus-9.refuses[0]: must be one of sampling, forced_tool_choice, prefill, manual_thinking, adaptive_thinking, disabled_thinking",
    ],
  ])("%s %j", (path, value, fault) => {
    expect(faultsWith(path, value)).toContain(fault);
  });

  test("a name that two models have", () => {
    const twice = { "claude-opus-9": sound, "claude-opus-8": sound };
    const fault = "claude-opus-8.aliases: `claude-opus-9-20261001` is a name of `claude-opus-9` already";
    expect(checkModels(stringify(twice, { aliasDuplicateObjects: false }), today)).toContain(fault);
  });

  test("a model that should be retired by now", () => {
    const past = { "claude-opus-9": { ...sound, lifecycle: "deprecated", retires_at: today } };
    expect(checkModels(stringify(past), today)).toEqual([`claude-opus-9.lifecycle: has to be retired since ${today}`]);
  });

  test("what is no YAML, or says a model twice", () => {
    expect(checkModels("a: [", today)).not.toEqual([]);
    expect(checkModels("a: 1\na: 2", today)).not.toEqual([]);
  });
});
