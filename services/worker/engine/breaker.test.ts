import { describe, expect, test } from "vitest";
import { openMs } from "./breaker.ts";

describe("an open breaker", () => {
  test.each([
    [0, 5_000],
    [1, 10_000],
    [2, 20_000],
    [3, 40_000],
    [4, 60_000],
    [400, 60_000],
  ])("after %i openings in a row stays so for %i ms", (openings, ms) => expect(openMs(openings)).toBe(ms));
});
