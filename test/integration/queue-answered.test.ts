import { expect, inject, test } from "vitest";
import type { JobConsumer, JobConsumerOptions } from "#shared/queue/job-consumer.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import { createResultStore, type ResultStore } from "#shared/store/result-store.ts";
import { eventually } from "../support/eventually.ts";
import { openConsumer, openProducer } from "../support/queue-bed.ts";
import { callId, createStoreBed, sampleJob, sampleOutcome, type StoreBed } from "../support/store-bed.ts";

interface Lane {
  readonly redis: RedisConnection;
  readonly results: ResultStore;
  readonly consumer: JobConsumer;
  /** The job's names in Redis. */
  keysOf(id: string): Promise<string[]>;
  add(id: string): Promise<void>;
}

/** A lane whose consumer records outcomes on `redis`. */
async function openLane(
  bed: StoreBed,
  handle: (results: ResultStore, ...rest: Parameters<JobConsumerOptions["handle"]>) => Promise<void>,
  concurrency = 10,
): Promise<Lane> {
  const { prefix } = bed;
  const redis = await bed.connect("command");
  const results = bed.own(createResultStore({ redis, prefix, ttlMs: 60_000 }));
  const producer = await openProducer(bed);
  const consumer = await openConsumer(bed, {
    concurrency,
    settling: redis,
    handle: (...given) => handle(results, ...given),
  });
  const keysOf = (id: string) => redis.client.keys(`{${prefix}}:interactive:${id}*`);
  return { redis, results, consumer, keysOf, add: (id) => producer.add("interactive", sampleJob(id)) };
}

test("a job is removed right behind its outcome, while its handler still waits", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const end = Promise.withResolvers<void>();
  const lane = await openLane(bed, async (results, { head }, { removeWhenAnswered }) => {
    void results.settle(head.id, sampleOutcome(), "");
    removeWhenAnswered();
    await end.promise;
  });
  const id = callId();
  await lane.add(id);
  await eventually(async () => expect(await lane.results.begin(id)).toMatchObject({ answered: true }));
  await eventually(async () => expect(await lane.keysOf(id)).toEqual([]));
  expect(await lane.redis.client.llen(`{${bed.prefix}}:interactive:active`)).toBe(0);
  expect(lane.consumer.running).toBe(1);
  end.resolve();
  await eventually(() => expect(lane.consumer.running).toBe(0));
});

test("a job whose call has no outcome stays until it is handled", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const asked = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const lane = await openLane(bed, async (_results, _job, { removeWhenAnswered }) => {
    removeWhenAnswered();
    // Leaves after it.
    setImmediate(() => setImmediate(asked.resolve));
    await end.promise;
  });
  const id = callId();
  await lane.add(id);
  await asked.promise;
  await lane.redis.client.ping();
  expect(await lane.keysOf(id)).toHaveLength(2);
  end.resolve();
  await eventually(async () => expect(await lane.keysOf(id)).toEqual([]));
});

test("a job that another dispatcher has by now is left to it, answered or not", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const lock = (id: string) => `{${bed.prefix}}:interactive:${id}:lock`;
  const lane = await openLane(bed, async (results, { head }, { removeWhenAnswered }) => {
    await lane.redis.client.set(lock(head.id), "another's");
    const settling = results.settle(head.id, sampleOutcome(), "");
    removeWhenAnswered();
    await settling;
  });
  const id = callId();
  await lane.add(id);
  await eventually(async () => expect(await lane.results.begin(id)).toMatchObject({ answered: true }));
  await eventually(() => expect(lane.consumer.running).toBe(0));
  expect(await lane.redis.client.get(lock(id))).toBe("another's");
  expect(await lane.keysOf(id)).toHaveLength(2);
});

test("in a full lane a job ends in exchange for the next one", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const end = Promise.withResolvers<void>();
  const handled: string[] = [];
  const lane = await openLane(
    bed,
    async (results, { head }, { removeWhenAnswered }) => {
      handled.push(head.id);
      const settling = results.settle(head.id, sampleOutcome(), "");
      removeWhenAnswered();
      await settling;
      await end.promise;
    },
    1,
  );
  const ids = [callId(), callId()] as const;
  for (const id of ids) await lane.add(id);
  await eventually(async () => expect(await lane.results.begin(ids[0])).toMatchObject({ answered: true }));
  // What was written behind the outcome has been carried out.
  await lane.redis.client.ping();
  expect(await lane.keysOf(ids[0])).toHaveLength(2);
  end.resolve();
  await eventually(() => expect(handled).toEqual(ids));
  for (const id of ids) await eventually(async () => expect(await lane.keysOf(id)).toEqual([]));
});
