import { expect, test } from "vitest";
import { sampleJob } from "../../test/support/store-bed.ts";
import { decodeJob, encodeJob, salvageJob } from "./job.ts";

const roundTrip = (job: unknown) => decodeJob(JSON.parse(JSON.stringify(job)));

test("a job comes out of its lane as it went in", () => {
  const job = sampleJob("call_1", { reopened: true, parked: 3 });
  expect(decodeJob(JSON.parse(encodeJob(job)))).toEqual(job);
});

test("a body may lie elsewhere, but not in both places and not in none", () => {
  const { body: _, ...bare } = sampleJob("call_1");
  expect(roundTrip({ ...bare, bodyKey: "k" })).toMatchObject({ bodyKey: "k" });
  expect(() => roundTrip(bare)).toThrow("job is malformed at body");
  expect(() => roundTrip({ ...sampleJob("call_1"), bodyKey: "k" })).toThrow("job is malformed at body");
});

test.each([
  ["version", { ...sampleJob("call_1"), version: 2 }],
  ["head", { ...sampleJob("call_1"), head: { id: "call_1" } }],
  ["head", { ...sampleJob("call_1"), head: { ...sampleJob("call_1").head, deadlineAt: "soon" } }],
  ["head", { ...sampleJob("call_1"), head: { ...sampleJob("call_1").head, operation: "embed" } }],
  ["replyTo", { ...sampleJob("call_1"), replyTo: 1 }],
  ["enqueuedAt", { ...sampleJob("call_1"), enqueuedAt: null }],
  ["parked", { ...sampleJob("call_1"), parked: "often" }],
  ["hold", { ...sampleJob("call_1"), hold: { callId: "call_1", keyId: "key:a", amount: 1, promptAmount: 1 } }],
  ["estimate", { ...sampleJob("call_1"), estimate: { amount: 1 } }],
])("a payload with a bad %s is refused by name", (member, payload) => {
  expect(() => roundTrip(payload)).toThrow(`job is malformed at ${member}`);
});

test("a refusal quotes nothing of the payload", () => {
  expect(() => roundTrip({ ...sampleJob("call_1"), head: { id: "secret prompt" } })).not.toThrow(/secret/);
});

test.each([[null], [[]], ["text"], [1], [{}]])("of %j enough is salvaged to settle the call", (payload) => {
  expect(salvageJob("call_1", payload)).toMatchObject({ head: { id: "call_1" }, replyTo: "" });
});

test("who waits for a job of another version is still known", () => {
  expect(salvageJob("call_1", { ...sampleJob("call_1"), version: 2, replyTo: "reply" }).replyTo).toBe("reply");
});
