import { expect, test } from "vitest";
import { loadConfig } from "#shared/config/load-config.ts";
import { createCatalogue } from "./catalogue.ts";
import { createPriceBook } from "./price-book.ts";
import { estimateCost } from "./estimate-cost.ts";

const config = loadConfig({});
const prices = createPriceBook(createCatalogue(config), config.providers);
const at = Date.parse("2026-11-22T00:00:00Z");

/** In millionths of a dollar; a body of so many bytes that contains a text. */
function estimate(models: readonly string[], { bytes = 2000, maxTokens = 100, text = "" } = {}): number[] {
  const body = Buffer.from(text.padEnd(bytes, " "));
  const { amount, promptAmount } = estimateCost({ bytes: body, facts: { maxTokens }, models, at }, prices);
  return [amount / 1000, promptAmount / 1000];
}

test("a call may cost its prompt, a token for two bytes, and all of max_tokens", () => {
  expect(estimate(["claude-opus-5"])).toEqual([1000 * 5 + 100 * 25, 1000 * 5]);
  expect(estimate(["claude-opus-5"], { maxTokens: 0 })).toEqual([5000, 5000]);
});

test("marks, a place and a speed make it dearer", () => {
  expect(estimate(["claude-opus-5"], { text: '"cache_control"' })).toEqual([1000 * 10 + 100 * 25, 5000]);
  expect(estimate(["claude-opus-5"], { text: '"inference_geo"' })[1]).toBeCloseTo(5500);
  expect(estimate(["claude-opus-5"], { text: '"speed"' })[1]).toBeCloseTo(10_000);
  expect(estimate(["claude-sonnet-5"], { text: '"speed"' })[1]).toBeCloseTo(2000);
});

test("a long prompt is taken at its own price", () => {
  expect(estimate(["claude-haiku-5-5"], { bytes: 200_000, maxTokens: 0 })[0]).toBeCloseTo(100_000 * 0.1);
  expect(estimate(["claude-haiku-5-5"], { bytes: 200_002, maxTokens: 0 })[0]).toBeCloseTo(100_001 * 0.5);
});

test("of several models that may answer the dearest counts, and one of no known price is refused", () => {
  expect(estimate(["claude-sonnet-5", "anthropic/claude-opus-5"])).toEqual([7500, 5000]);
  expect(() => estimate(["claude-opus-5", "stranger"])).toThrow(
    /no price of the model "stranger" is known: .* can set models\.stranger\.price/,
  );
});
