import { expect, test } from "vitest";

import { createPromptCache, type PromptPart } from "./prompt-cache.ts";

const part = (characters: number, cacheTtl?: "5m" | "1h"): PromptPart => ({ json: "x".repeat(characters), cacheTtl });

test("a prompt without marks is neither written nor read", () => {
  expect(createPromptCache().charge("a", [part(400)])).toMatchObject({
    input_tokens: 100,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  });
});

test("a marked prefix is written once, then read, and what follows it is input", () => {
  const cache = createPromptCache();
  const parts = [part(400, "5m"), part(40)];
  expect(cache.charge("a", parts)).toMatchObject({ input_tokens: 10, cache_creation_input_tokens: 100 });
  expect(cache.charge("a", parts)).toMatchObject({
    input_tokens: 10,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 100,
  });
});

test("a longer conversation reads what it shares and writes the rest, split by its time to live", () => {
  const cache = createPromptCache();
  cache.charge("a", [part(400, "1h")]);
  expect(cache.charge("a", [part(400, "1h"), part(400, "1h"), part(80, "5m")])).toEqual({
    input_tokens: 0,
    cache_creation_input_tokens: 120,
    cache_read_input_tokens: 100,
    cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 100 },
  });
});

test("accounts do not share", () => {
  const cache = createPromptCache();
  cache.charge("a", [part(400, "5m")]);
  expect(cache.charge("b", [part(400, "5m")]).cache_read_input_tokens).toBe(0);
});
