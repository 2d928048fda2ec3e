import { describe, expect, test } from "vitest";
import { fullJitter } from "./backoff.ts";

const options = { baseMs: 500, maxMs: 8_000 };

describe("full jitter", () => {
  test.each([
    [1, 500],
    [2, 1_000],
    [5, 8_000],
    [6, 8_000],
    [2_000, 8_000],
  ])("the ceiling after failure %i is %i ms", (attempt, ceiling) => {
    expect(fullJitter(attempt, options, () => 0.999_999_999)).toBe(ceiling - 1);
  });

  test("it may be nothing at all", () => {
    expect(fullJitter(3, options, () => 0)).toBe(0);
  });

  test("an attempt below 1 counts as the first", () => {
    expect(fullJitter(0, options, () => 0.5)).toBe(250);
  });
});
