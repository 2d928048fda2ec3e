import { expect, test } from "vitest";
import { bestOf } from "../../test/support/best-of.ts";
import { matchesGlob, matchesModel } from "./globs.ts";

test.each([
  ["claude-*", "claude-opus-4-8", true],
  ["claude-*", "gpt-claude-x", false],
  ["*", "anything", true],
  ["claude-opus-4-8", "claude-opus-4-8", true],
  ["claude-opus-4-8", "claude-opus-4-80", false],
  ["claude-opus-4.8", "claude-opus-4-8", false],
  ["*-haiku-*", "claude-haiku-5-5", true],
  ["repo:acme/*", "repo:acme/site:ref:refs/heads/main", true],
  ["repo:acme/*", "repo:acme2/site", false],
  ["a(b)+[c]*", "a(b)+[c]", true],
])("%s on %s: %s", (glob, value, matches) => {
  expect(matchesGlob([glob], value)).toBe(matches);
});

test("one of several is enough", () => {
  expect(matchesGlob(["a", "b*"], "bc")).toBe(true);
});

test("a key without globs may use every model, one with an empty list none", () => {
  expect(matchesModel(undefined, "claude-opus-5")).toBe(true);
  expect(matchesModel([], "claude-opus-5")).toBe(false);
});

test("a row of asterisks is not slower than one", async () => {
  const match = (): number => {
    const started = performance.now();
    expect(matchesGlob([`${"*".repeat(40)}x`], "a".repeat(5_000))).toBe(false);
    return performance.now() - started;
  };
  expect(await bestOf(3, match, 500)).toBeLessThan(500);
});
