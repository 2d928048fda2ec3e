import { expect, inject, test } from "vitest";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import { eventually } from "../support/eventually.ts";
import { cut, offersBecome, offersOf, openDispatcher, sourceOf } from "../support/handover-bed.ts";
import { openProducer } from "../support/queue-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleJob } from "../support/store-bed.ts";

test.concurrent("a job is handed to a dispatcher that waits, without a sign or a take, and leaves nothing", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const seen: unknown[] = [];
  await openDispatcher(bed, {
    handle: ({ head }, { delivery, redelivered, known }) => {
      seen.push({ id: head.id, delivery, redelivered, answered: known.answered, cancelled: known.cancelled });
      return Promise.resolve();
    },
  });
  // As many as there are slots.
  await offersBecome(bed, 4);
  const taken = async () => Number(/cmdstat_rpoplpush:calls=(\d+)/.exec(await client.info("commandstats"))?.[1]);
  const before = await taken();
  const job = sampleJob(callId());
  await producer.add("interactive", job);
  await eventually(() =>
    expect(seen).toEqual([{ id: job.head.id, delivery: 1, redelivered: false, answered: false, cancelled: false }]),
  );
  await eventually(async () =>
    expect((await producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 0 }),
  );
  expect(await client.keys(`{${bed.prefix}}:interactive:${job.head.id}*`)).toEqual([]);
  expect(await taken()).toBe(before);
  expect(await client.pttl(offersOf(bed))).toBeGreaterThan(0);
  // The next one too: an offer is made again with the removal.
  await offersBecome(bed, 4);
});

test.concurrent("jobs of one turn are handed over together, whatever bytes they have, and the rest is taken", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const seen = new Map<string, unknown>();
  await openDispatcher(bed, {
    handle: (job) => {
      seen.set(job.head.id, job.head.model);
      return Promise.resolve();
    },
  });
  await offersBecome(bed, 4);
  const jobs = Array.from({ length: 20 }, (_, at) => {
    const job = sampleJob(callId());
    return { ...job, head: { ...job.head, model: `modèle\n${at} ✓` } };
  });
  await Promise.all(jobs.map((job) => producer.add("interactive", job)));
  await eventually(() => expect(seen).toEqual(new Map(jobs.map(({ head }) => [head.id, head.model]))));
});

test.concurrent("what is known of its call comes with it", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const known: unknown[] = [];
  await openDispatcher(bed, {
    handle: (_, context) => {
      known.push({ ...context.known, at: Math.abs(context.known.at - Date.now()) < 5000 });
      return Promise.resolve();
    },
  });
  await offersBecome(bed, 4);
  const job = sampleJob(callId());
  await client.set(`${createStoreKeys(bed.prefix).callMarks.cancelled}${job.head.id}`, "1", "EX", 60);
  await producer.add("interactive", job);
  await eventually(() => expect(known).toEqual([{ answered: false, cancelled: true, at: true }]));
});

test.concurrent("nobody overtakes a job that waits", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const order: string[] = [];
  const ids = [callId(), callId()] as const;
  await producer.add("interactive", sampleJob(ids[0]));
  // An offer that was made before, by one who listens.
  const channel = `${bed.prefix}:listening`;
  const listener = await bed.connect("subscriber");
  await listener.client.subscribe(channel);
  await client.zadd(offersOf(bed), Date.now(), `${channel} token 15000 a: c:`);
  await producer.add("interactive", sampleJob(ids[1]));
  expect(await client.zcard(offersOf(bed))).toBe(1);
  await client.del(offersOf(bed));
  await openDispatcher(bed, { handle: ({ head }) => Promise.resolve(void order.push(head.id)) });
  await eventually(() => expect(order).toEqual([...ids]));
});

test.concurrent("offers of those who are gone are passed over", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const seen: string[] = [];
  await openDispatcher(bed, { handle: ({ head }) => Promise.resolve(void seen.push(head.id)) });
  await offersBecome(bed, 4);
  for (const gone of [1, 2, 3])
    await client.zadd(offersOf(bed), Date.now() + 1000, `${bed.prefix}:gone ${gone} 15000 a: c:`);
  const ids = Array.from({ length: 12 }, () => callId());
  for (const id of ids) await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(seen.toSorted()).toEqual(ids.toSorted()));
});

test.concurrent("a job that was handed to one who never heard of it goes to another when its lock runs out", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const channel = `${bed.prefix}:deaf`;
  const deaf = await bed.connect("subscriber");
  await deaf.client.subscribe(channel);
  await client.zadd(offersOf(bed), Date.now(), `${channel} token 400 a: c:`);
  const id = callId();
  await producer.add("interactive", sampleJob(id));
  expect((await producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 1 });
  const seen: unknown[] = [];
  await openDispatcher(bed, {
    lockMs: 400,
    handle: ({ head }, { delivery, redelivered }) => {
      seen.push({ id: head.id, delivery, redelivered });
      return Promise.resolve();
    },
  });
  await eventually(() => expect(seen).toEqual([{ id, delivery: 2, redelivered: true }]));
});

test.concurrent("who closes withdraws its offers; a job that was handed over meanwhile is given back", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const leaving = await openDispatcher(bed, { handle: () => new Promise(() => undefined) });
  await offersBecome(bed, 4);
  const ids = [callId(), callId()];
  const closing = (async () => {
    await producer.add("interactive", sampleJob(ids[0] ?? ""));
    await leaving.close(AbortSignal.abort());
  })();
  await closing;
  expect(await client.zcard(offersOf(bed))).toBe(0);
  await producer.add("interactive", sampleJob(ids[1] ?? ""));
  const seen: string[] = [];
  await openDispatcher(bed, { handle: ({ head }) => Promise.resolve(void seen.push(head.id)) });
  await eventually(() => expect(seen.toSorted()).toEqual(ids.toSorted()));
});

test.concurrent("after an interruption offers are made anew", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const seen: string[] = [];
  const subscriber = await bed.connect("subscriber");
  await openDispatcher(bed, {
    handing: sourceOf(subscriber),
    handle: ({ head }) => Promise.resolve(void seen.push(head.id)),
  });
  await offersBecome(bed, 4);
  await cut(bed, subscriber);
  const ids = Array.from({ length: 6 }, () => callId());
  for (const id of ids) await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(seen.toSorted()).toEqual(ids.toSorted()));
  const last = callId();
  await producer.add("interactive", sampleJob(last));
  await eventually(() => expect(seen).toContain(last));
  await offersBecome(bed, 4);
});
