import { describe, expect, test } from "vitest";
import { blockedUntil } from "./blocked-until.ts";

const now = Date.parse("2026-11-21T12:00:00Z");
const inSeconds = (seconds: number): string => new Date(now + seconds * 1000).toISOString();

describe("how long a 429 blocks its target", () => {
  const rows: readonly (readonly [string, Readonly<Record<string, string>>, number])[] = [
    ["retry-after-ms goes first", { "retry-after-ms": "1500.5", "retry-after": "30" }, 1500.5],
    ["retry-after in seconds", { "retry-after": "30" }, 30_000],
    ["retry-after in parts of seconds", { "retry-after": "0.25" }, 250],
    ["retry-after as a date", { "retry-after": "Sat, 21 Nov 2026 12:00:40 GMT" }, 40_000],
    [
      "retry-after goes before resets",
      { "retry-after": "3", "anthropic-ratelimit-tokens-reset": inSeconds(50) },
      3_000,
    ],
    ["a date that has passed is no hint", { "retry-after": "Sat, 21 Nov 2026 11:00:40 GMT" }, 777],
    ["zero is no hint", { "retry-after": "0" }, 777],
    ["a negative number is no hint", { "retry-after": "-5" }, 777],
    ["nonsense is no hint", { "retry-after": "soon" }, 777],
    ["nothing at all gives the back-off", {}, 777],
    ["too little is rounded up", { "retry-after-ms": "1" }, 50],
    ["too much is cut at a day", { "retry-after": "99999999" }, 86_400_000],
    [
      "the reset of the limit that is used up",
      {
        "anthropic-ratelimit-requests-remaining": "12",
        "anthropic-ratelimit-requests-reset": inSeconds(60),
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": inSeconds(20),
      },
      20_000,
    ],
    [
      "the latest of those that are used up",
      {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": inSeconds(10),
        "anthropic-ratelimit-output-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": inSeconds(25),
      },
      25_000,
    ],
    [
      "the latest of all where each has something left",
      {
        "anthropic-ratelimit-requests-remaining": "5",
        "anthropic-ratelimit-requests-reset": inSeconds(10),
        "anthropic-ratelimit-tokens-remaining": "2000",
        "anthropic-ratelimit-tokens-reset": inSeconds(15),
      },
      15_000,
    ],
    [
      "a reset in the past says nothing",
      { "anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": inSeconds(-10) },
      777,
    ],
  ];
  test.each(rows)("%s", (_, headers, ms) => expect(blockedUntil(headers, { now, backoffMs: 777 }) - now).toBe(ms));

  test("what the body says goes before what the headers say", () => {
    const given = { now, backoffMs: 777, retryAt: now + 17_000 };
    expect(blockedUntil({ "retry-after": "3" }, given) - now).toBe(17_000);
  });
});
