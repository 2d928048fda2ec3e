import { Queue } from "bullmq";
import { expect, inject, test } from "vitest";
import { encodeJob } from "#shared/queue/job.ts";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import { eventually } from "../support/eventually.ts";
import { cut, offersBecome, offersOf, openDispatcher, sourceOf } from "../support/handover-bed.ts";
import { openProducer } from "../support/queue-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleJob } from "../support/store-bed.ts";

test.concurrent("a dispatcher that drains is handed nothing, though its subscription was cut once", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const subscriber = await bed.connect("subscriber");
  const go = Promise.withResolvers<void>();
  const taken: string[] = [];
  const leaving = await openDispatcher(bed, {
    handing: sourceOf(subscriber),
    handle: ({ head }) => {
      taken.push(head.id);
      return go.promise;
    },
  });
  await offersBecome(bed, 4);
  await cut(bed, subscriber);
  const listening = async () => client.pubsub("CHANNELS", `{${bed.prefix}}:*`);
  await eventually(async () => expect(await listening()).toHaveLength(1));
  const first = callId();
  await producer.add("interactive", sampleJob(first));
  await eventually(() => expect(taken).toEqual([first]));
  const closing = leaving.close(AbortSignal.timeout(20_000));
  await eventually(async () => expect(await listening()).toEqual([]), { timeoutMs: 5000 });
  const later: string[] = [];
  await openDispatcher(bed, { handle: ({ head }) => Promise.resolve(void later.push(head.id)) });
  const ids = Array.from({ length: 6 }, () => callId());
  for (const id of ids) await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(later.toSorted()).toEqual(ids.toSorted()));
  go.resolve();
  await closing;
  expect(taken).toEqual([first]);
});

test.concurrent("offers of those who are gone and of interrupted subscriptions do not pile up", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const { client } = await bed.connect("command");
  const subscriber = await bed.connect("subscriber");
  await openDispatcher(bed, { handing: sourceOf(subscriber), concurrency: 50, handle: () => Promise.resolve() });
  await offersBecome(bed, 8);
  for (const gone of [1, 2, 3]) await client.zadd(offersOf(bed), Date.now() - 3000, `gone ${gone} 15000 a: c:`);
  for (const state of ["cut", "cut again"]) {
    await cut(bed, subscriber);
    await eventually(async () => expect(await client.zcard(offersOf(bed)), state).toBeGreaterThanOrEqual(8));
  }
  await offersBecome(bed, 8);
  expect(await client.zrange(offersOf(bed), "0", "-1")).not.toContainEqual(expect.stringMatching(/^gone/));
});

test.concurrent("a dispatcher that has stood still for seconds is handed nothing", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const channel = `${bed.prefix}:still`;
  const still = await bed.connect("subscriber");
  await still.client.subscribe(channel);
  await client.zadd(offersOf(bed), Date.now() - 5000, `${channel} token 15000 a: c:`);
  await producer.add("interactive", sampleJob(callId()));
  expect((await producer.depth()).interactive).toEqual({ waiting: 1, delayed: 0, active: 0 });
  expect(await client.exists(offersOf(bed))).toBe(0);
});

test.concurrent("offers are renewed while nothing happens, and none that is used is made anew by it", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const go = Promise.withResolvers<void>();
  await openDispatcher(bed, { handle: () => go.promise });
  await offersBecome(bed, 4);
  const oldest = async () => Number((await client.zrange(offersOf(bed), "0", "0", "WITHSCORES"))[1]);
  const first = await client.zrange(offersOf(bed), "0", "-1");
  await producer.add("interactive", sampleJob(callId()));
  const before = await oldest();
  await eventually(async () => expect(await oldest()).toBeGreaterThan(before + 1000));
  const now = await client.zrange(offersOf(bed), "0", "-1");
  expect(now).toHaveLength(3);
  expect(first).toEqual(expect.arrayContaining(now));
  go.resolve();
});

test.concurrent("no more jobs run at a time than the lane's concurrency, though some came without an offer", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const go = Promise.withResolvers<void>();
  const ran: string[] = [];
  let running = 0;
  let most = 0;
  await openDispatcher(bed, {
    handle: async ({ head }) => {
      running += 1;
      most = Math.max(most, running);
      await go.promise;
      running -= 1;
      ran.push(head.id);
    },
  });
  await offersBecome(bed, 4);
  const ids = Array.from({ length: 8 }, () => callId());
  const queue = bed.own(new Queue("interactive", { connection: client, prefix: `{${bed.prefix}}` }));
  for (const id of ids.slice(0, 4))
    await queue.add("c", JSON.parse(encodeJob(sampleJob(id))) as unknown, { jobId: id });
  await eventually(() => expect(running).toBe(4));
  await offersBecome(bed, 0);
  for (const id of ids.slice(4)) await producer.add("interactive", sampleJob(id));
  expect((await producer.depth()).interactive).toEqual({ waiting: 4, delayed: 0, active: 4 });
  go.resolve();
  await eventually(() => expect(ran.toSorted()).toEqual(ids.toSorted()));
  expect(most).toBe(4);
});

test.concurrent("what a take brings is not offered room besides", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const jobs = Array.from({ length: 3 }, () => sampleJob(callId()));
  for (const job of jobs) await producer.add("interactive", job);
  let running = 0;
  await openDispatcher(bed, {
    // May offer from the first take on.
    handing: { subscribe: () => ({ isConfirmed: true, close: () => Promise.resolve() }) },
    handle: () => {
      running += 1;
      return new Promise(() => undefined);
    },
  });
  await eventually(() => expect(running).toBe(3));
  await offersBecome(bed, 1);
});

test.concurrent("an exchange whose answer comes too late makes no more offers than there may be", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const settling = await bed.connect("command");
  const { answered } = createStoreKeys(bed.prefix).callMarks;
  const go = Promise.withResolvers<void>();
  const consumer = await openDispatcher(bed, {
    concurrency: 50,
    settling,
    handle: async ({ head }, { removeWhenAnswered }) => {
      await go.promise;
      const settled = settling.client.set(answered + head.id, "x", "PX", 60_000);
      removeWhenAnswered();
      await settled.catch(() => undefined);
    },
  });
  await offersBecome(bed, 8);
  for (let at = 0; at < 8; at++) await producer.add("interactive", sampleJob(callId()));
  await eventually(() => expect(consumer.running).toBe(8));
  redis.freeze();
  go.resolve();
  // As the removals do, which are carried out all the same.
  await expect(client.ping()).rejects.toThrow();
  redis.thaw();
  await eventually(() => expect(consumer.running).toBe(0));
  await offersBecome(bed, 8);
  await consumer.close(AbortSignal.timeout(10_000));
  expect(await client.pubsub("CHANNELS", `{${bed.prefix}}:*`)).toEqual([]);
  await offersBecome(bed, 0);
});
