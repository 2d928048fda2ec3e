import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { createBatchIntake } from "#shared/store/batch-intake.ts";
import { createBatchKeys } from "#shared/store/batch-keys.ts";
import { createBatchStore } from "#shared/store/batch-store.ts";
import { createItemStore } from "#shared/store/item-store.ts";
import { itemCallId } from "../../services/dispatcher/batches/item-job.ts";
import { makeBatch, resultsOf, untilEnded, type BatchKit } from "../support/batch-kit.ts";
import { answerOf, blockedUntil, startDispatcherBench, type DispatcherBench } from "../support/dispatcher-bench.ts";
import { eventually } from "../support/eventually.ts";

// Batches between a real Redis and a worker that answers as told: the lane takes 5 at a time, a window is 50.

let bench: DispatcherBench;
let kit: BatchKit;
beforeEach(async () => {
  bench = await startDispatcherBench(inject("redisUrl"));
  const { redis, prefix } = bench;
  kit = { intake: createBatchIntake({ redis, prefix }), batches: createBatchStore({ redis, prefix }) };
});
afterEach(async () => {
  await bench.close();
});

const keys = () => createBatchKeys(bench.prefix);

/** What of a batch lies in Redis. */
async function kept(batchId: string): Promise<string[]> {
  const names = await bench.redis.client.keys(`{${bench.prefix}}:*${batchId}*`);
  return names.map((name) => name.split(":")[1] ?? "").toSorted();
}

test("every item is run once with its own body, recorded, and its body dropped", async () => {
  const batch = await makeBatch(kit, { items: 200 });
  expect((await untilEnded(kit, batch)).ends).toMatchObject({ succeeded: 200 });
  expect(bench.calls).toHaveLength(200);
  expect(new Set(bench.calls.map(({ head }) => head.id)).size).toBe(200);
  const items = bench.calls.map(({ body }) => ("key" in body ? body.key : "")).toSorted();
  expect(items).toEqual(Array.from({ length: 200 }, (_, at) => keys().itemBody(batch.id, at)).toSorted());
  expect(bench.calls[0]?.head).toMatchObject({
    deadlineAt: batch.expiresAt,
    waitUntil: batch.expiresAt,
    stream: false,
  });
  expect((await resultsOf(kit, batch)).map(({ customId }) => customId)).toEqual(
    Array.from({ length: 200 }, (_, at) => `i${at}`),
  );
  expect(await kept(batch.id)).toEqual(["batch", "batch-index", "batch-results"]);
  expect(await bench.redis.client.exists(keys().openBatches, keys().openItems(batch.keyId))).toBe(0);
  for (const name of [keys().meta(batch.id), keys().index(batch.id), keys().results(batch.id)])
    expect(await bench.redis.client.pttl(name)).toBeGreaterThan(0);
});

test("results lie in Redis compressed", async () => {
  const text = "the same words over and over. ".repeat(2000);
  bench.answer = () => Promise.resolve(answerOf(text));
  const batch = await makeBatch(kit, { items: 10 });
  await untilEnded(kit, batch);
  expect(await bench.redis.client.memory("USAGE", keys().results(batch.id), "SAMPLES", 0)).toBeLessThan(
    text.length / 4,
  );
  expect((await resultsOf(kit, batch)).map(({ payload }) => payload.toString())).toEqual(
    Array.from({ length: 10 }, () => JSON.stringify({ text })),
  );
});

test("no more of a batch is in the lane than its window, and hardly any of it waits there", async () => {
  const gate = Promise.withResolvers<void>();
  bench.answer = async () => {
    await gate.promise;
    return answerOf("late");
  };
  const batch = await makeBatch(kit, { items: 300 });
  await eventually(() => expect(bench.calls).toHaveLength(5));
  await sleep(500);
  await eventually(async () => {
    const { active, waiting } = (await bench.producer.depth()).background;
    expect(active).toBe(5);
    expect(waiting).toBeLessThanOrEqual(50);
    expect(await bench.redis.client.scard(keys().open(batch.id))).toBe(active + waiting);
  });
  gate.resolve();
  await untilEnded(kit, batch);
});

test("a limited item is parked until the reset and run once more; the batch does not end before", async () => {
  const resetAt = Date.now() + 600;
  bench.answer = async () => (Date.now() < resetAt ? blockedUntil(resetAt) : answerOf("after"));
  const batch = await makeBatch(kit, { items: 3 });
  expect((await untilEnded(kit, batch)).ends).toMatchObject({ succeeded: 3 });
  expect(Date.now()).toBeGreaterThanOrEqual(resetAt);
});

test("an outcome that comes twice is recorded once", async () => {
  const batch = await makeBatch(kit, { items: 1 });
  await untilEnded(kit, batch);
  const store = createItemStore({ redis: bench.redis, prefix: bench.prefix });
  const item = { batchId: batch.id, index: 0, keyId: batch.keyId };
  const again = { end: "errored", payload: Buffer.from("{}") } as const;
  expect(await store.record(item, again)).toBe("already");
  expect((await kit.batches.find(batch.keyId, batch.id))?.ends).toMatchObject({ succeeded: 1, errored: 0 });
  expect((await resultsOf(kit, batch))[0]?.end).toBe("succeeded");
});

test("two dispatchers feed no item twice, and one goes on when the other leaves", async () => {
  await bench.addDispatcher();
  bench.answer = async () => {
    await sleep(5);
    return answerOf("x");
  };
  const batch = await makeBatch(kit, { items: 400 });
  await eventually(() => expect(bench.calls.length).toBeGreaterThan(50));
  await bench.dispatcher.drain(AbortSignal.timeout(20_000));
  expect((await untilEnded(kit, batch)).ends).toMatchObject({ succeeded: 400 });
  expect(new Set(bench.calls.map(({ head }) => head.id)).size).toBe(400);
  expect(bench.calls).toHaveLength(400);
});

test("an item whose job is not there is put into the lane again", async () => {
  const gate = Promise.withResolvers<void>();
  bench.answer = async () => {
    await gate.promise;
    return answerOf("x");
  };
  const batch = await makeBatch(kit, { items: 20 });
  await eventually(async () => expect((await bench.producer.depth()).background.waiting).toBe(15));
  const removed = await Promise.all(
    Array.from({ length: 20 }, (_, at) => bench.producer.remove("background", itemCallId(batch.id, at))),
  );
  expect(removed.filter((result) => result === "removed")).toHaveLength(15);
  // Whoever feeds next looks after everything that is open.
  await bench.addDispatcher();
  gate.resolve();
  await bench.dispatcher.drain(AbortSignal.timeout(20_000));
  expect((await untilEnded(kit, batch)).ends).toMatchObject({ succeeded: 20 });
  expect(bench.calls).toHaveLength(20);
});

test("what was sent by two lost deliveries is not sent a third time", async () => {
  await bench.dispatcher.drain(AbortSignal.abort());
  const batch = await makeBatch(kit, { items: 2 });
  const store = createItemStore({ redis: bench.redis, prefix: bench.prefix });
  const note = { provider: "one", model: "m", at: Date.now() };
  await store.noteSent({ batchId: batch.id, index: 0, keyId: batch.keyId }, { ...note, times: 2 });
  await store.noteSent({ batchId: batch.id, index: 1, keyId: batch.keyId }, { ...note, times: 1 });
  bench.answer = async ({ sentBefore }) => answerOf("rerun", sentBefore ? { attempts: rerunAttempts } : {});
  await bench.addDispatcher();
  const ended = await untilEnded(kit, batch);
  expect(ended).toMatchObject({ ends: { succeeded: 1, errored: 1 }, rerun: 1 });
  expect(bench.calls).toHaveLength(1);
  expect(bench.calls[0]).toMatchObject({ head: { id: itemCallId(batch.id, 1) }, sentBefore: note });
});

const rerunAttempts = [
  { provider: "one", model: "m", startedAt: 1, endedAt: 2, reason: "worker_lost" },
  { provider: "one", model: "m", startedAt: 3, endedAt: 4, status: 200, reason: "ok", rerun: true },
] as const;

test("while a provider is asked, that is noted; an answer, also a bad one, takes the note back", async () => {
  const gate = Promise.withResolvers<void>();
  bench.answer = async (_, { sent }) => {
    sent({ provider: "one", model: "m", at: 1 });
    sent({ provider: "two", model: "m", at: 2 });
    await gate.promise;
    return errorOutcome(new GatewayError("overloaded", "busy"), "call_x", {
      attempts: [{ provider: "one", model: "m", startedAt: 1, endedAt: 2, status: 529, reason: "overloaded" }],
    });
  };
  const batch = await makeBatch(kit, { items: 1 });
  await eventually(async () => {
    expect(JSON.parse((await bench.redis.client.hget(keys().sent(batch.id), "0")) ?? "{}")).toEqual({
      provider: "one",
      model: "m",
      at: 1,
      times: 1,
    });
  });
  gate.resolve();
  await eventually(async () => expect((await bench.producer.depth()).background.delayed).toBe(1));
  expect(await bench.redis.client.exists(keys().sent(batch.id))).toBe(0);
});

test("a cancelled batch ends with what ran; what waited and what never was taken is cancelled", async () => {
  const gate = Promise.withResolvers<void>();
  bench.answer = async () => {
    await gate.promise;
    return answerOf("ran");
  };
  const batch = await makeBatch(kit, { items: 500 });
  await eventually(() => expect(bench.calls).toHaveLength(5));
  expect(await kit.batches.cancel("key:somebody", batch.id)).toBe(false);
  expect(await kit.batches.cancel(batch.keyId, batch.id)).toBe(true);
  await eventually(async () => {
    expect((await kit.batches.find(batch.keyId, batch.id))?.ends).toMatchObject({ canceled: 495 });
  });
  expect(await kit.batches.find(batch.keyId, batch.id)).toMatchObject({ state: "canceling" });
  expect(await kit.batches.delete(batch.keyId, batch.id)).toBe("running");
  gate.resolve();
  const ended = await untilEnded(kit, batch);
  expect(ended.ends).toEqual({ succeeded: 5, errored: 0, canceled: 495, expired: 0 });
  expect(bench.calls).toHaveLength(5);
  const ends = Map.groupBy(await resultsOf(kit, ended), ({ end }) => end);
  expect([ends.get("succeeded")?.length, ends.get("canceled")?.length]).toEqual([5, 495]);
  expect(await kept(batch.id)).toEqual(["batch", "batch-index", "batch-results"]);
  expect(await kit.batches.delete(batch.keyId, batch.id)).toBe("deleted");
  expect(await kept(batch.id)).toEqual([]);
});

test("a batch whose time is up ends: what has not ended has expired", async () => {
  bench.answer = async (_, { signal }) => {
    await sleep(10_000, undefined, { signal }).catch(() => undefined);
    return answerOf("too late");
  };
  const batch = await makeBatch(kit, { items: 300, expiresInMs: 3_000 });
  const ended = await untilEnded(kit, batch);
  expect(ended.ends).toEqual({ succeeded: 0, errored: 0, canceled: 0, expired: 300 });
  expect(Date.now()).toBeGreaterThanOrEqual(batch.expiresAt);
  expect((await resultsOf(kit, ended)).every(({ end }) => end === "expired")).toBe(true);
});

test("a small batch behind a huge one of another key ends within twice the time it takes alone", async () => {
  bench.answer = async () => {
    await sleep(20);
    return answerOf("x");
  };
  const huge = await makeBatch(kit, { keyId: "key:huge", items: 3000 });
  await eventually(() => expect(bench.calls.length).toBeGreaterThan(300));
  const small = await makeBatch(kit, { keyId: "key:small", items: 100 });
  const before = bench.calls.length;
  await untilEnded(kit, small);
  // Time in items, of which the lane takes so many at a time: as many of the other batch double it.
  const ids = new Set(Array.from({ length: 100 }, (_, at) => itemCallId(small.id, at)));
  const last = bench.calls.findLastIndex(({ head }) => ids.has(head.id));
  expect(last + 1 - before).toBeLessThanOrEqual(200);
  expect(await kit.batches.find("key:huge", huge.id)).toMatchObject({ state: "in_progress" });
});

test("batches of several keys go on side by side", async () => {
  bench.answer = async () => {
    await sleep(10);
    return answerOf("x");
  };
  const made = await Promise.all(["key:a", "key:b", "key:c"].map((keyId) => makeBatch(kit, { keyId, items: 300 })));
  await eventually(() => expect(bench.calls.length).toBeGreaterThan(300));
  const done = await Promise.all(made.map(({ keyId, id }) => kit.batches.find(keyId, id)));
  const shares = done.map((batch) => batch?.ends.succeeded ?? 0);
  expect(Math.min(...shares) / Math.max(...shares)).toBeGreaterThan(0.5);
});
