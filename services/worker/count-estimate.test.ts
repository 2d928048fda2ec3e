import { expect, test } from "vitest";
import { estimateTokens } from "./count-estimate.ts";

test("an estimate is not below what tokenizers find in prose, code and other scripts", () => {
  const prose = "The quick brown fox jumps over the lazy dog. ".repeat(20);
  expect(estimateTokens(Buffer.from(prose))).toBeGreaterThan(prose.split(" ").length);
  const chinese = "今天天气很好我们去公园散步吧".repeat(20);
  expect(estimateTokens(Buffer.from(chinese))).toBeGreaterThan(chinese.length);
});

test("an empty body has no tokens", () => expect(estimateTokens(Buffer.alloc(0))).toBe(0));
