import { expect, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import { trailOf, wholeOutcome } from "./trail.ts";

const job: CallJob = {
  version: 1,
  head: {
    id: "call_1",
    operation: "messages",
    stream: false,
    keyId: "key:a",
    model: "m",
    askedModel: "m",
    headers: { "anthropic-version": "2023-06-01" },
    splices: { model: { start: 0, end: 0 } },
    wishes: {},
    acceptedAt: 900,
    deadlineAt: 9000,
    waitUntil: 9000,
  },
  body: "{}",
  replyTo: "",
  enqueuedAt: 1000,
};

function outcome(provider: string): Outcome {
  return {
    code: "ok",
    status: 200,
    headers: {},
    body: Buffer.alloc(0),
    attempts: [{ provider, model: "m", startedAt: 1, endedAt: 2, reason: "ok" }],
    waits: [{ kind: "backoff", startedAt: 3, endedAt: 4 }],
    notes: ["redis_away", provider],
  };
}

test("a call that was never put aside waited in the queue first", () => {
  expect(wholeOutcome(job, outcome("a"), 1500).waits).toEqual([
    { kind: "queue", startedAt: 1000, endedAt: 1500 },
    { kind: "backoff", startedAt: 3, endedAt: 4 },
  ]);
});

test("a call that was put aside keeps its attempts, waits and remarks, each remark once", () => {
  const trail = trailOf(wholeOutcome(job, outcome("a"), 1500), 2000);
  const whole = wholeOutcome({ ...job, trail }, outcome("b"), 6000);
  expect(whole.attempts.map(({ provider }) => provider)).toEqual(["a", "b"]);
  expect(whole.waits.map(({ kind, startedAt, endedAt }) => [kind, startedAt, endedAt])).toEqual([
    ["queue", 1000, 1500],
    ["backoff", 3, 4],
    ["capacity", 2000, 6000],
    ["backoff", 3, 4],
  ]);
  expect(whole.notes).toEqual(["redis_away", "a", "b"]);
});
