import { expect, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import { sampleHead, sampleJob } from "../../test/support/store-bed.ts";
import { trailOf, wholeOutcome } from "./trail.ts";

const times = { acceptedAt: 900, deadlineAt: 9000, waitUntil: 9000 };
const head = sampleHead("call_1", { keyId: "key:a", model: "m", askedModel: "m", ...times });
const job = sampleJob("call_1", { head, enqueuedAt: 1000 });

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
