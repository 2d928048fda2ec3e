import { expect, test } from "vitest";
import { hint, nearest } from "./nearest.ts";

const known = ["base_url", "api_key", "auth", "models"];

test.each([
  ["base_uri", "base_url"],
  ["baseurl", "base_url"],
  ["api-key", "api_key"],
  ["API_KEY", "api_key"],
  ["apikye", "api_key"],
  ["model", "models"],
  ["region", undefined],
  ["", undefined],
])("%o is nearest to %s", (written, expected) => {
  expect(nearest(written, known)).toBe(expected);
});

test("a hint is a phrase or nothing", () => {
  expect(hint("model", known)).toBe(" (did you mean `models`?)");
  expect(hint("zebra", known)).toBe("");
});
