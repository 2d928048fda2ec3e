import { expect, inject, test } from "vitest";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { openConsumer, openProducer } from "../support/queue-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleJob, type StoreBed } from "../support/store-bed.ts";

const markerOf = (bed: StoreBed) => `{${bed.prefix}}:interactive:marker`;

test("a sign that finds its dispatcher full is left to the others, and asked for again when a slot is free", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const ends: (() => void)[] = [];
  const full = await openConsumer(bed, { concurrency: 1, handle: () => new Promise((resolve) => ends.push(resolve)) });
  await producer.add("interactive", sampleJob(callId()));
  await eventually(() => expect(full.running).toBe(1));
  // Stands in line behind the full one, which asked for its next sign when it took the job.
  const other = await bed.connect("blocking");
  const heard = other.client.bzpopmin(markerOf(bed), 20);
  await producer.add("interactive", sampleJob(callId()));
  expect(await heard).toEqual([markerOf(bed), "0", "0"]);
  await producer.add("interactive", sampleJob(callId()));
  await eventually(async () => expect(await client.zcard(markerOf(bed))).toBe(1));
  const asked = async () => /cmdstat_bzpopmin:calls=(\d+)/.exec(await client.info("commandstats"))?.[1];
  const before = await asked();
  for (let turn = 0; turn < 100; turn += 1) expect(await client.zcard(markerOf(bed))).toBe(1);
  expect(await asked()).toBe(before);
  for (let done = 1; done <= 3; done += 1) {
    await eventually(() => expect(ends).toHaveLength(done));
    ends[done - 1]?.();
  }
  await eventually(async () => expect(await client.zcard(markerOf(bed))).toBe(0));
});

test("that a job is parked is told on by a full dispatcher, with its time", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const full = await openConsumer(bed, { concurrency: 1, handle: () => new Promise(() => undefined) });
  await producer.add("interactive", sampleJob(callId()));
  await eventually(() => expect(full.running).toBe(1));
  const other = await bed.connect("blocking");
  const heard = other.client.bzpopmin(markerOf(bed), 20);
  const dueAt = Date.now() + 60_000;
  await (await bed.connect("command")).client.zadd(markerOf(bed), dueAt, "1");
  expect(await heard).toEqual([markerOf(bed), "1", String(dueAt)]);
});

test("a parked job is taken when it is due, whatever sign is waited for", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  let parkUntil = 0;
  let late: (ms: number) => void = () => undefined;
  await openConsumer(bed, {
    concurrency: 10,
    handle: (job) => {
      if (job.parked !== undefined) late(Date.now() - parkUntil);
      else parkUntil = Date.now() + 300;
      return Promise.resolve(job.parked === undefined ? { parkUntil } : undefined);
    },
  });
  const lateness = async (): Promise<number> => {
    const { promise, resolve } = Promise.withResolvers<number>();
    late = resolve;
    await producer.add("interactive", sampleJob(callId()));
    return promise;
  };
  // A sign is waited for two seconds long.
  expect(await bestOf(3, lateness, 500)).toBeLessThan(500);
});
