import { randomBytes } from "node:crypto";
import { expect, inject, test } from "vitest";
import { createBodyStore } from "#shared/store/body-store.ts";
import { createReplyBus, type ReplyBus } from "#shared/store/reply-bus.ts";
import { createResultStore, type ResultStore } from "#shared/store/result-store.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { eventually } from "../support/eventually.ts";
import { callId, createStoreBed, sampleOutcome, type StoreBed } from "../support/store-bed.ts";

async function openResults(bed: StoreBed, more: { ttlMs?: number; encryptionKey?: string } = {}): Promise<ResultStore> {
  const redis = await bed.connect("command");
  const subscriber = await bed.connect("subscriber");
  return bed.own(createResultStore({ redis, subscriber, prefix: bed.prefix, ttlMs: 60_000, ...more }));
}

async function openReplies(bed: StoreBed, instanceId = "g1", encryptionKey?: string): Promise<ReplyBus> {
  const subscriber = await bed.connect("subscriber");
  const { prefix, logger } = bed;
  const bus = createReplyBus({ subscriber, prefix, instanceId, logger, ...(encryptionKey ? { encryptionKey } : {}) });
  await bed.own(bus).ready(AbortSignal.timeout(20_000));
  return bus;
}

function next(bus: ReplyBus, id: string): Promise<Outcome> {
  return new Promise((resolve) => bus.expect(id, resolve));
}

test("an outcome is recorded once and reaches the gateway that waits for it", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const bus = await openReplies(bed);
  const id = callId();
  const answered = next(bus, id);
  expect(await results.settle(id, sampleOutcome("first"), bus.channel)).toBe("recorded");
  expect(await answered).toEqual(sampleOutcome("first"));

  let heardAgain = false;
  bus.expect(id, () => (heardAgain = true));
  expect(await results.settle(id, sampleOutcome("second"), bus.channel)).toBe("already");
  expect((await results.read(id))?.body.toString()).toBe("first");
  expect(heardAgain).toBe(false);
});

test("of two outcomes of one call in the same turn the first one counts", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const id = callId();
  const both = [results.settle(id, sampleOutcome("first"), ""), results.settle(id, sampleOutcome("second"), "")];
  expect(await Promise.all(both)).toEqual(["recorded", "already"]);
  expect((await results.read(id))?.body.toString()).toBe("first");
});

test("many outcomes of one turn reach each its own gateway and nobody else", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const buses = await Promise.all(["g1", "g2"].map((name) => openReplies(bed, name)));
  const calls = Array.from({ length: 300 }, (_, i) => ({ id: callId(), bus: buses[i % 2]! }));
  const strangers: string[] = [];
  const answers = calls.map(({ id, bus }) => {
    for (const other of buses) if (other !== bus) other.expect(id, () => strangers.push(id));
    return next(bus, id);
  });
  await Promise.all(calls.map(({ id, bus }) => results.settle(id, sampleOutcome(id), bus.channel)));
  expect((await Promise.all(answers)).map(({ body }) => body.toString())).toEqual(calls.map(({ id }) => id));
  expect(strangers).toEqual([]);
});

test("an outcome nobody waits for is stored and heard by nobody", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const bus = await openReplies(bed);
  const [left, stays] = [callId(), callId()];
  let heard = false;
  bus.expect(left, () => (heard = true))();
  const answered = next(bus, stays);
  await results.settle(left, sampleOutcome(), bus.channel);
  await results.settle(stays, sampleOutcome(), bus.channel);
  await answered;
  expect(heard).toBe(false);
});

test("settling drops the body, whoever settles", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const bodies = createBodyStore({ redis: await bed.connect("command"), prefix: bed.prefix });
  const id = callId();
  const bytes = randomBytes(100_000);
  const key = await bodies.put(id, bytes, 60_000);
  expect(await bodies.read(key)).toEqual(bytes);
  await results.settle(id, sampleOutcome(), "");
  expect(await bodies.read(key)).toBeUndefined();
});

test("a body is dropped on demand and by its time to live, and nothing else can be read by its key", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const bodies = createBodyStore({ redis: await bed.connect("command"), prefix: bed.prefix });
  const dropped = await bodies.put(callId(), Buffer.from("{}"), 60_000);
  bodies.drop(dropped);
  const expiring = await bodies.put(callId(), Buffer.from("{}"), 20);
  await eventually(async () => {
    expect(await bodies.read(dropped)).toBeUndefined();
    expect(await bodies.read(expiring)).toBeUndefined();
  });
  await expect(bodies.read(`{${bed.prefix}}:outcome:call_1`)).rejects.toThrow("not the key of a body");
});

test("a job's beginning learns of an answer, of its tombstone and of a cancellation", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const [fresh, answered, cancelled] = [callId(), callId(), callId()];
  await results.settle(answered, sampleOutcome("done"), "");
  await results.cancel(cancelled, Date.now() + 60_000);
  const states = await Promise.all([fresh, answered, cancelled].map((id) => results.begin(id)));
  expect(states[0]).toEqual({ answered: false, cancelled: false });
  expect(states[1]).toMatchObject({ answered: true, cancelled: false, outcome: sampleOutcome("done") });
  expect(states[2]).toEqual({ answered: false, cancelled: true });

  results.acknowledge(answered);
  await eventually(async () => expect(await results.begin(answered)).toEqual({ answered: true, cancelled: false }));
  expect(await results.settle(answered, sampleOutcome("again"), "")).toBe("already");
});

test("every key that is left behind has a time to live", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const redis = await bed.connect("command");
  const ids = [callId(), callId()];
  for (const id of ids) await results.settle(id, sampleOutcome(), "");
  await results.cancel(callId(), Date.now() + 60_000);
  results.acknowledge(ids[0]!);
  await results.close();
  const keys = await redis.client.keys(`{${bed.prefix}}:*`);
  expect(keys).toHaveLength(3);
  for (const key of keys) expect(await redis.client.pttl(key)).toBeGreaterThan(0);
});

test("dispatchers hear of a cancelled call", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const heard: string[] = [];
  bed.onEnd(results.onCancel((id) => heard.push(id)));
  const id = callId();
  await eventually(async () => {
    await results.cancel(id, Date.now() + 60_000);
    expect(heard).toContain(id);
  });
});

test("the fate of a call is its outcome, its tombstone, its job, or unknown", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const results = await openResults(bed);
  const id = callId();
  expect(await results.fate("interactive", id)).toEqual({ state: "unknown" });
  await results.settle(id, sampleOutcome("done"), "");
  expect(await results.fate("interactive", id)).toEqual({ state: "answered", outcome: sampleOutcome("done") });
  results.acknowledge(id);
  await results.close();
  expect(await results.fate("interactive", id)).toEqual({ state: "answered", outcome: undefined });
});

test("with a key neither bodies nor outcomes lie in Redis in the clear", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const encryptionKey = randomBytes(32).toString("base64");
  const results = await openResults(bed, { encryptionKey });
  const bus = await openReplies(bed, "g1", encryptionKey);
  const redis = await bed.connect("command");
  const bodies = createBodyStore({ redis, prefix: bed.prefix, encryptionKey });
  expect(bodies.isSealed).toBe(true);
  const [waiting, settled] = [callId(), callId()];
  const key = await bodies.put(waiting, Buffer.from("a secret prompt"), 60_000);
  const answered = next(bus, settled);
  await results.settle(settled, sampleOutcome("a secret answer"), bus.channel);
  expect((await answered).body.toString()).toBe("a secret answer");
  expect((await bodies.read(key))?.toString()).toBe("a secret prompt");
  for (const name of await redis.client.keys(`{${bed.prefix}}:*`))
    expect(await redis.client.get(name)).not.toContain("secret");
});
