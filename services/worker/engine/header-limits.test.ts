import { expect, test } from "vitest";
import { readHeaderLimits } from "./header-limits.ts";

test("each limit of an answer is read with what remains and when it resets", () => {
  expect(
    readHeaderLimits({
      "content-type": "application/json",
      "anthropic-ratelimit-requests-limit": "4000",
      "anthropic-ratelimit-requests-remaining": "3999",
      "anthropic-ratelimit-requests-reset": "2026-11-21T00:00:00Z",
      "anthropic-ratelimit-input-tokens-remaining": "0",
    }),
  ).toEqual({
    requests: { limit: 4000, remaining: 3999, resetAt: Date.parse("2026-11-21T00:00:00Z") },
    "input-tokens": { remaining: 0 },
  });
});

test.each([
  {},
  { "content-type": "text/plain" },
  { "anthropic-ratelimit-requests-remaining": "many" },
  { "anthropic-ratelimit-requests-remaining": "" },
  { "anthropic-ratelimit-requests-reset": "soon" },
  { "anthropic-ratelimit-Requests-limit": "4" },
])("nothing is read from %j", (headers) => {
  expect(readHeaderLimits(headers as Record<string, string>)).toBeUndefined();
});

test("a provider's header names are not kept in any number", () => {
  const names = Array.from(
    { length: 100 },
    (_, i) => `anthropic-ratelimit-x${"abcdefghij"[i % 10]}${"klmnopqrst"[Math.floor(i / 10)]}-limit`,
  );
  const limits = readHeaderLimits(Object.fromEntries(names.map((name) => [name, "1"])));
  expect(Object.keys(limits ?? {})).toHaveLength(16);
});

test("a limit may have any name, also one that objects have", () => {
  const limits = readHeaderLimits({ "anthropic-ratelimit-constructor-limit": "1" });
  expect(limits).toEqual({ constructor: { limit: 1 } });
  expect(({} as { limit?: number }).constructor).not.toHaveProperty("limit");
});
