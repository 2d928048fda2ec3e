import { expect, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import { isFreshSuccess, isLasting } from "./replayable.ts";

function outcomeOf(status: number, endedAt: number): Outcome {
  const attempt = { provider: "one", model: "m", startedAt: endedAt, endedAt, reason: "ok" } as const;
  const facts = { headers: {}, body: Buffer.alloc(0), waits: [], notes: [] };
  return { code: "ok", status, attempts: [attempt], ...facts };
}

test("a retry is given a success of the last 60 seconds, and nothing else", () => {
  const now = Date.now();
  expect(isFreshSuccess(outcomeOf(200, now - 60_000), now)).toBe(true);
  expect(isFreshSuccess(outcomeOf(200, now - 60_001), now)).toBe(false);
  expect(isFreshSuccess(outcomeOf(400, now), now)).toBe(false);
});

test("an idempotency key keeps successes and what is wrong with the request", () => {
  const lasting = [200, 400, 401, 413, 422, 429, 500, 529].filter((status) => isLasting(outcomeOf(status, 0)));
  expect(lasting).toEqual([200, 400, 413, 422]);
});
