import type { SluiceConfig } from "#shared/config/schema.ts";
import { describe, expect, test } from "vitest";
import { createCatalogue } from "./catalogue.ts";
import { createPriceBook, type PriceBook } from "./price-book.ts";

const common = { baseUrl: "http://127.0.0.1:9", headers: {}, connections: 1, threads: false, models: {} };

const providers: SluiceConfig["providers"] = {
  vendor: { ...common, type: "anthropic", auth: "x-api-key" },
  "vertex-global": { ...common, type: "vertex", project: "p", region: "global" },
  "vertex-eu": { ...common, type: "vertex", project: "p", region: "eu" },
  bedrock: { ...common, type: "bedrock", api: "invoke", region: "us-east-1" },
  foundry: { ...common, type: "foundry", auth: "api-key" },
  openai: { ...common, type: "openai", api: "chat", maxTokensField: "max_tokens" },
};

function bookOf(models: SluiceConfig["models"]): PriceBook {
  return createPriceBook(createCatalogue({ models, providers }), providers);
}

const now = Date.parse("2026-11-22T00:00:00Z");

describe("a price", () => {
  test("is found by every name of its model", () => {
    const book = bookOf({});
    for (const name of ["claude-opus-4-5", "claude-opus-4-5-20251101", "anthropic/claude-opus-4.5"])
      expect(book.find(name, "vendor", now)?.rates).toMatchObject({ input: 5, cacheWrite1h: 10 });
    expect(book.find("stranger", "vendor", now)).toBeUndefined();
    expect(book.find("__proto__", "vendor", now)).toBeUndefined();
  });

  test("is that of its day", () => {
    const book = bookOf({});
    const read = (day: string): number | undefined =>
      book.find("claude-sonnet-5-5", "vendor", Date.parse(day))?.rates.cacheRead;
    expect(read("2026-10-06T23:59:59Z")).toBe(0.2);
    expect(read("2026-10-07T00:00:00Z")).toBe(0.1);
  });

  test("that is not known is undefined, not nothing", () => {
    expect(bookOf({}).find("claude-mythos-preview", "vendor", now)).toBeUndefined();
  });

  test("of the operator goes before what is built in", () => {
    const rates = { input: 1, output: 2, cacheWrite5m: 1, cacheWrite1h: 1, cacheRead: 0 };
    const route = { provider: "vendor", model: "x" };
    const book = bookOf({ "claude-opus-5": { aliases: ["mine"], routes: [route], claude: true, price: { rates } } });
    expect(book.find("mine", "vendor", now)).toEqual({ rates });
  });
});

test("regional endpoints of the clouds cost a tenth more, and what is estimated is the dearest", () => {
  const routes = [
    { provider: "vendor", model: "claude-opus-5" },
    { provider: "vertex-global", model: "claude-opus-5" },
    { provider: "vertex-eu", model: "claude-opus-5" },
    { provider: "bedrock", model: "eu.anthropic.claude-opus-5" },
  ];
  const global = [{ provider: "bedrock", model: "global.anthropic.claude-sonnet-5" }];
  const book = bookOf({
    "claude-opus-5": { aliases: [], routes, claude: true },
    "claude-sonnet-5": { aliases: [], routes: global, claude: true },
  });
  const output = (provider: string | undefined, model = "claude-opus-5"): number | undefined =>
    book.find(model, provider, now)?.rates.output;
  expect(output("vendor")).toBe(25);
  expect(output("vertex-global")).toBe(25);
  expect(output("vertex-eu")).toBeCloseTo(27.5);
  expect(output("bedrock")).toBeCloseTo(27.5);
  expect(output(undefined)).toBeCloseTo(27.5);
  expect(output("bedrock", "claude-sonnet-5")).toBe(10);
});

describe("where another family's model serves", () => {
  const routes = [
    { provider: "vendor", model: "claude-opus-5" },
    { provider: "foundry", model: "my deployment" },
    { provider: "openai", model: "gpt-6" },
  ];
  const rates = { input: 1, output: 2, cacheWrite5m: 1, cacheWrite1h: 1, cacheRead: 1 };
  const opus = { aliases: [], routes, claude: true };
  const input = (book: PriceBook, provider: string, model = "claude-opus-5"): number | undefined =>
    book.find(model, provider, now)?.rates.input;

  test("the price is not Claude's but unknown, or that of the model if it is known", () => {
    const book = bookOf({ "claude-opus-5": opus });
    expect([input(book, "vendor"), input(book, "foundry"), input(book, "openai")]).toEqual([5, 5, undefined]);
    const gpt = { aliases: [], routes: [{ provider: "openai", model: "gpt-6" }], claude: false, price: { rates } };
    expect(input(bookOf({ "claude-opus-5": opus, "gpt-6": gpt }), "openai")).toBe(1);
  });

  test("also by Anthropic's API, unless its id names a Claude", () => {
    const at = (model: string): number | undefined =>
      input(bookOf({ "claude-opus-5": { ...opus, routes: [{ provider: "vendor", model }] } }), "vendor");
    expect([at("deepseek-v4-pro"), at("anthropic/claude-opus-5"), at("claude-opus-5")]).toEqual([undefined, 5, 5]);
  });

  test("an operator's own price holds wherever the model is served", () => {
    const book = bookOf({ "claude-opus-5": { ...opus, price: { rates } } });
    expect([input(book, "vendor"), input(book, "openai")]).toEqual([1, 1]);
  });
});

test("whose price it is: the model that serves at the provider, under its own name where it is of another family", () => {
  const routes = [
    { provider: "openai", model: "gpt-6" },
    { provider: "vertex-eu", model: "claude-opus-5@1" },
  ];
  const book = bookOf({ "claude-opus-5": { aliases: ["mine"], routes, claude: true } });
  expect(book.describe("mine", "openai")).toBe("gpt-6 at openai");
  expect(book.describe("mine", "vertex-eu")).toBe("claude-opus-5 at vertex-eu");
  expect(book.describe("mine", undefined)).toBe("claude-opus-5");
  expect(book.describe("x".repeat(300), "openai")).toBe(`${"x".repeat(200)} at openai`);
});
