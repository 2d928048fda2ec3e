import { expect, test } from "vitest";
import { estimateInputTokens } from "./estimate-input.ts";

const body = (data: string): Buffer =>
  Buffer.from(JSON.stringify({ messages: [{ content: [{ source: { type: "base64", data } }] }] }, undefined, 1));

test("a picture counts the same whatever its size", () => {
  expect(estimateInputTokens(body("A".repeat(5_000_000)))).toBe(estimateInputTokens(body("A".repeat(5000))));
});

test("text counts by its bytes, under the name of data too", () => {
  const text = "some words, and more ".repeat(100);
  expect(estimateInputTokens(body(text))).toBe(Math.ceil(body(text).length / 2.5));
});
