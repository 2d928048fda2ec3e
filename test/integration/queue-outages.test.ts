import { afterEach, expect, inject, test } from "vitest";
import { createJobConsumer, type JobConsumer, type JobContext } from "#shared/queue/job-consumer.ts";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import { AddError, createJobProducer } from "#shared/queue/job-producer.ts";
import type { CallJob } from "#shared/queue/job.ts";
import { connectRedis } from "#shared/store/connect-redis.ts";
import { createResultStore } from "#shared/store/result-store.ts";
import { createReplyBus } from "#shared/store/reply-bus.ts";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { openConsumer, openProducer } from "../support/queue-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleJob, sampleOutcome, type StoreBed } from "../support/store-bed.ts";

const rejections: unknown[] = [];
process.on("unhandledRejection", (reason) => rejections.push(reason));
afterEach(() => expect(rejections.splice(0)).toEqual([]));

type Handle = (job: CallJob, context: JobContext) => Promise<void>;

function openDispatcher(bed: StoreBed, handle: Handle, lockMs = 15_000): Promise<JobConsumer> {
  return openConsumer(bed, { handle, lockMs });
}

async function fateOf(added: Promise<void>): Promise<string> {
  try {
    await added;
    return "added";
  } catch (error) {
    return error instanceof AddError ? error.fate : String(error);
  }
}

test.concurrent(
  "waiting and running jobs outlive a restart of Redis; what is handled twice says so",
  { timeout: 60_000 },
  async () => {
    await using redis = await startRedis({ appendOnly: true });
    await using bed = createStoreBed(redis.url);
    const producer = await openProducer(bed);
    const deliveries: { id: string; redelivered: boolean }[] = [];
    const go = Promise.withResolvers<void>();
    const handle: Handle = ({ head }, { redelivered }) => {
      deliveries.push({ id: head.id, redelivered });
      return go.promise;
    };
    await openDispatcher(bed, handle);
    await openDispatcher(bed, handle);
    const ids = Array.from({ length: 50 }, () => callId());
    await Promise.all(ids.map((id) => producer.add("interactive", sampleJob(id))));
    await eventually(() => expect(deliveries).toHaveLength(20));
    await redis.kill();
    await redis.start();
    go.resolve();
    await eventually(() => expect(new Set(deliveries.map(({ id }) => id))).toEqual(new Set(ids)), {
      timeoutMs: 40_000,
    });
    const again = deliveries.filter(({ id }, index) => deliveries.findIndex((one) => one.id === id) !== index);
    expect(again.filter(({ redelivered }) => !redelivered)).toEqual([]);
    await eventually(async () =>
      expect((await producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 0 }),
    );
  },
);

test.concurrent("a job that finishes while Redis is away is gone once Redis is back", async () => {
  await using redis = await startRedis({ appendOnly: true });
  await using bed = createStoreBed(redis.url);
  const producer = await openProducer(bed);
  const go = Promise.withResolvers<void>();
  let deliveries = 0;
  const consumer = await openDispatcher(bed, () => {
    deliveries += 1;
    return go.promise;
  });
  await producer.add("interactive", sampleJob(callId()));
  await eventually(() => expect(consumer.running).toBe(1));
  await redis.kill();
  go.resolve();
  await redis.start();
  await eventually(async () => expect((await producer.depth()).interactive.active).toBe(0));
  expect(deliveries).toBe(1);
});

test.concurrent("a Redis that stands still for a while loses and repeats nothing", { timeout: 60_000 }, async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const producer = await openProducer(bed);
  const handled: string[] = [];
  await openDispatcher(bed, ({ head }) => {
    handled.push(head.id);
    return Promise.resolve();
  });
  const before = callId();
  await producer.add("interactive", sampleJob(before));
  await eventually(() => expect(handled).toEqual([before]));
  redis.freeze();
  expect(await fateOf(producer.add("interactive", sampleJob(callId())))).toBe("unknown");
  redis.thaw();
  const after = callId();
  await eventually(async () => expect(await fateOf(producer.add("interactive", sampleJob(after)))).toBe("added"));
  await eventually(() => expect(handled).toContain(after));
  expect(new Set(handled).size).toBe(handled.length);
});

test.concurrent(
  "a job whose dispatcher lost its lock is delivered again, and says so",
  { timeout: 40_000 },
  async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const producer = await openProducer(bed);
    const redis = await bed.connect("command");
    const deliveries: Pick<JobContext, "delivery" | "redelivered">[] = [];
    const handle: Handle = (_job, { delivery, redelivered }) => {
      deliveries.push({ delivery, redelivered });
      return delivery === 1 ? new Promise(() => undefined) : Promise.resolve();
    };
    // No multiple of the three checks in that time.
    await openDispatcher(bed, handle, 3001);
    const id = callId();
    await producer.add("interactive", sampleJob(id));
    await eventually(() => expect(deliveries).toHaveLength(1));
    await redis.client.del(`{${bed.prefix}}:interactive:${id}:lock`);
    await eventually(() =>
      expect(deliveries).toEqual([
        { delivery: 1, redelivered: false },
        { delivery: 2, redelivered: true },
      ]),
    );
    await eventually(async () => expect(await producer.remove("interactive", id)).toBe("absent"));
  },
);

test.concurrent("a job that runs longer than its lock is not delivered twice", { timeout: 60_000 }, async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const go = Promise.withResolvers<void>();
  let deliveries = 0;
  const handle: Handle = () => {
    deliveries += 1;
    return go.promise;
  };
  // Renewed three times in that time, so that it outlives a moment in which nothing is renewed.
  const lockMs = 5000;
  const consumer = await openDispatcher(bed, handle, lockMs);
  await openDispatcher(bed, handle, lockMs);
  const startedAt = Date.now();
  await producer.add("interactive", sampleJob(callId()));
  await eventually(() => expect(Date.now() - startedAt).toBeGreaterThan(1.5 * lockMs), { everyMs: 100 });
  expect(deliveries).toBe(1);
  go.resolve();
  await eventually(() => expect(consumer.running).toBe(0));
});

test.concurrent("without Redis an add fails at once and certainly, and works when Redis is back", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const connection = await bed.connect("command");
  const producer = bed.own(createJobProducer(connection, { prefix: bed.prefix }));
  await redis.kill();
  await eventually(() => expect(connection.isReady).toBe(false));
  const add = async (): Promise<number> => {
    const startedAt = performance.now();
    expect(await fateOf(producer.add("interactive", sampleJob(callId())))).toBe("not_sent");
    return performance.now() - startedAt;
  };
  expect(await bestOf(3, add, 100)).toBeLessThan(100);
  await redis.start();
  await connection.ready(AbortSignal.timeout(20_000));
  expect(await fateOf(producer.add("interactive", sampleJob(callId())))).toBe("added");
  expect((await producer.depth()).interactive.waiting).toBe(1);
});

test.concurrent("what Redis refuses for want of memory was certainly not added", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const connection = await bed.connect("command");
  const producer = bed.own(createJobProducer(connection, { prefix: bed.prefix }));
  await connection.client.config("SET", "maxmemory", "1");
  expect(await fateOf(producer.add("interactive", sampleJob(callId())))).toBe("not_sent");
});

test.concurrent("producer and consumer may start before Redis does", async () => {
  await using redis = await startRedis();
  await redis.kill();
  await using bed = createStoreBed(redis.url);
  const command = bed.own(connectRedis(redis.url, "command", bed));
  const blocking = bed.own(connectRedis(redis.url, "blocking", bed));
  const producer = bed.own(createJobProducer(command, { prefix: bed.prefix }));
  const handled: string[] = [];
  const consumer = createJobConsumer({
    lane: "interactive",
    concurrency: 1,
    lockMs: 15_000,
    connection: blocking,
    prefix: bed.prefix,
    marks: createStoreKeys(bed.prefix).callMarks,
    logger: bed.logger,
    handle: ({ head }) => Promise.resolve(void handled.push(head.id)),
    onFailed: () => undefined,
  });
  bed.onEnd(() => consumer.close(AbortSignal.abort()));
  expect(await fateOf(producer.add("interactive", sampleJob(callId())))).toBe("not_sent");
  await redis.start();
  await Promise.all([command.ready(AbortSignal.timeout(20_000)), blocking.ready(AbortSignal.timeout(20_000))]);
  const id = callId();
  await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(handled).toEqual([id]));
});

test.concurrent("a consumer can leave while Redis is away, with jobs in hand and without", async () => {
  await using redis = await startRedis({ appendOnly: true });
  await using bed = createStoreBed(redis.url);
  const producer = await openProducer(bed);
  const idle = await openDispatcher(bed, () => Promise.resolve());
  const busy = await openDispatcher(bed, () => new Promise(() => undefined));
  await idle.close(AbortSignal.timeout(20_000));
  const idleToo = await openDispatcher(bed, () => new Promise(() => undefined));
  await producer.add("interactive", sampleJob(callId()));
  await eventually(() => expect(busy.running + idleToo.running).toBe(1));
  await redis.kill();
  // Redis stays away: whoever waited for it would wait for ever.
  await Promise.all([busy.close(AbortSignal.timeout(100)), idleToo.close(AbortSignal.timeout(100))]);
});

test.concurrent("after an interruption the gateway hears so, and finds what it missed", async () => {
  await using redis = await startRedis({ appendOnly: true });
  await using bed = createStoreBed(redis.url);
  const { prefix, logger } = bed;
  const store = await bed.connect("command");
  const results = createResultStore({ redis: store, prefix, ttlMs: 60_000 });
  const bus = bed.own(createReplyBus({ subscriber: await bed.connect("subscriber"), prefix, instanceId: "g", logger }));
  await bus.ready(AbortSignal.timeout(20_000));
  expect(bus.interruptedSince).toBeUndefined();
  let restored = 0;
  bus.onRestored(() => (restored += 1));
  const id = callId();
  await results.settle(id, sampleOutcome("missed"), "nobody listens here");
  await redis.kill();
  await eventually(() => expect(bus.interruptedSince).toBeTypeOf("number"));
  await expect(results.settle(callId(), sampleOutcome(), bus.channel)).rejects.toThrow();
  await redis.start();
  await eventually(() => expect([restored, bus.interruptedSince]).toEqual([1, undefined]));
  await store.ready(AbortSignal.timeout(20_000));
  expect(await results.fate("interactive", id)).toMatchObject({ state: "answered", outcome: sampleOutcome("missed") });
  const heard = new Promise((resolve) => bus.expect("call_after", resolve));
  await results.settle("call_after", sampleOutcome("after"), bus.channel);
  expect(await heard).toEqual(sampleOutcome("after"));
});
