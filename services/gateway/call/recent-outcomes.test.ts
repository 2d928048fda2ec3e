import { expect, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import { createRecentOutcomes } from "./recent-outcomes.ts";

const kilobyte = 1024;

function outcomeOf(body: string, more: Partial<Outcome> = {}): Outcome {
  const now = Date.now();
  const attempt = { provider: "one", model: "m", startedAt: now, endedAt: now, reason: "ok" } as const;
  const facts = { attempts: [attempt], waits: [], notes: [] };
  return { code: "ok", status: 200, headers: {}, body: Buffer.from(body), ...facts, ...more };
}

test("a success is given once", () => {
  const recent = createRecentOutcomes();
  recent.remember("call_1", outcomeOf("yes"));
  expect(recent.take("call_1")?.body.toString()).toBe("yes");
  expect(recent.take("call_1")).toBeUndefined();
  expect(recent.take("call_2")).toBeUndefined();
});

test("a failure is not remembered, and a success not for longer than a minute", () => {
  const recent = createRecentOutcomes();
  recent.remember("call_1", outcomeOf("no", { status: 529 }));
  const old = Date.now() - 61_000;
  const attempt = { provider: "one", model: "m", startedAt: old, endedAt: old, reason: "ok" } as const;
  recent.remember("call_2", outcomeOf("old", { attempts: [attempt] }));
  expect(recent.take("call_1")).toBeUndefined();
  expect(recent.take("call_2")).toBeUndefined();
});

test("the oldest go for the sake of newer ones", () => {
  const recent = createRecentOutcomes(10 * kilobyte);
  for (let call = 1; call <= 8; call++) recent.remember(`call_${call}`, outcomeOf("x".repeat(kilobyte)));
  const left = [1, 2, 3, 4, 5, 6, 7, 8].filter((call) => recent.take(`call_${call}`) !== undefined);
  expect(left).toEqual([5, 6, 7, 8]);
  recent.remember("call_9", outcomeOf("x".repeat(20 * kilobyte)));
  expect(recent.take("call_9")).toBeUndefined();
});
