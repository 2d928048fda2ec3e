import { expect, inject, test } from "vitest";
import type { JobConsumer, JobConsumerOptions, JobContext } from "#shared/queue/job-consumer.ts";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import type { CallJob } from "#shared/queue/job.ts";
import { createResultStore } from "#shared/store/result-store.ts";
import { eventually } from "../support/eventually.ts";
import { openConsumer, openProducer } from "../support/queue-bed.ts";
import { callId, createStoreBed, sampleJob, type StoreBed } from "../support/store-bed.ts";

type Delivery = Omit<JobContext, "signal"> & { readonly job: CallJob; readonly at: number };

interface TestConsumer extends JobConsumer {
  readonly deliveries: Delivery[];
  readonly failures: { job: CallJob; reason: string }[];
}

async function openRecorder(bed: StoreBed, more: Partial<JobConsumerOptions> = {}): Promise<TestConsumer> {
  const deliveries: Delivery[] = [];
  const failures: TestConsumer["failures"] = [];
  const { handle, ...options } = more;
  const consumer = await openConsumer(bed, {
    concurrency: 100,
    onFailed: (job, reason) => failures.push({ job, reason }),
    handle(job, { signal, ...context }) {
      deliveries.push({ job, ...context, at: Date.now() });
      return handle ? handle(job, { signal, ...context }) : Promise.resolve();
    },
    ...options,
  });
  return Object.defineProperties(consumer as TestConsumer, {
    deliveries: { value: deliveries },
    failures: { value: failures },
  });
}

const idsOf = (consumer: TestConsumer) => consumer.deliveries.map(({ job }) => job.head.id);

test("a job is handled once, as it was added, and leaves nothing behind", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const consumer = await openRecorder(bed);
  const job = sampleJob(callId(), { body: "ü€😀", replyTo: "somebody" });
  await producer.add("interactive", job);
  await eventually(() => expect(consumer.deliveries).toMatchObject([{ job, delivery: 1, redelivered: false }]));
  const redis = await bed.connect("command");
  await eventually(async () =>
    expect(await redis.client.keys(`{${bed.prefix}}:interactive:${job.head.id}*`)).toEqual([]),
  );
  await eventually(async () =>
    expect((await producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 0 }),
  );
});

test("many jobs are each handled once, over two dispatchers", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const consumers = [await openRecorder(bed), await openRecorder(bed)];
  const ids = Array.from({ length: 1000 }, () => callId());
  await Promise.all(ids.map((id) => producer.add("interactive", sampleJob(id))));
  await eventually(() => expect(consumers.flatMap(idsOf).toSorted()).toEqual(ids.toSorted()));
});

test("no more jobs run than there are slots, and a free slot is filled at once", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const ends: (() => void)[] = [];
  let most = 0;
  const consumer = await openRecorder(bed, {
    concurrency: 3,
    handle: () => {
      most = Math.max(most, consumer.running);
      return new Promise((resolve) => ends.push(resolve));
    },
  });
  const ids = Array.from({ length: 8 }, () => callId());
  for (const id of ids) await producer.add("interactive", sampleJob(id));
  for (let done = 0; done < ids.length; done += 1) {
    await eventually(() => expect(ends).toHaveLength(Math.min(ids.length, done + 3)));
    expect(consumer.running).toBeLessThanOrEqual(3);
    ends[done]!();
  }
  await eventually(() => expect(consumer.running).toBe(0));
  expect(most).toBeLessThanOrEqual(3);
  expect(idsOf(consumer)).toEqual(ids);
});

test("a lane may be widened while it runs", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const ends: (() => void)[] = [];
  const handle = () => new Promise<void>((resolve) => ends.push(resolve));
  const consumer = await openRecorder(bed, { lane: "background", concurrency: 1, handle });
  for (let i = 0; i < 3; i += 1) await producer.add("background", sampleJob(callId()));
  await eventually(() => expect(consumer.running).toBe(1));
  consumer.setConcurrency(3);
  await eventually(() => expect(consumer.running).toBe(3));
  for (const end of ends) end();
});

test("a job that is there already is not added again", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const job = sampleJob(callId());
  await producer.add("interactive", job);
  await producer.add("interactive", { ...job, replyTo: "another" });
  expect((await producer.depth()).interactive.waiting).toBe(1);
  const consumer = await openRecorder(bed);
  await eventually(() => expect(consumer.deliveries).toMatchObject([{ job }]));
});

test("lanes do not stand in each other's way", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const ids = [callId(), callId()];
  await producer.add("background", sampleJob(ids[0]!));
  await producer.add("count", sampleJob(ids[1]!));
  const counts = await openRecorder(bed, { lane: "count" });
  await eventually(() => expect(idsOf(counts)).toEqual([ids[1]]));
  expect(await producer.depth()).toMatchObject({ background: { waiting: 1 }, count: { waiting: 0 } });
});

test.concurrent("a parked job waits without a slot until its time, and knows how often it was parked", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const parkUntil = Date.now() + 3_000;
  const consumer = await openRecorder(bed, {
    concurrency: 1,
    handle: (job) => Promise.resolve(job.parked === undefined && job.body === "park" ? { parkUntil } : undefined),
  });
  const parked = sampleJob(callId(), { body: "park" });
  await producer.add("interactive", parked);
  await eventually(async () => expect((await producer.depth()).interactive).toMatchObject({ delayed: 1, active: 0 }));
  const other = callId();
  await producer.add("interactive", sampleJob(other));
  await eventually(() => expect(consumer.deliveries).toHaveLength(3));
  expect(idsOf(consumer)).toEqual([parked.head.id, other, parked.head.id]);
  const again = consumer.deliveries[2]!;
  expect(again).toMatchObject({ delivery: 2, redelivered: false, job: { ...parked, parked: 1 } });
  expect(again.at).toBeGreaterThanOrEqual(parkUntil);
});

test.concurrent("a parked job is taken by another dispatcher when its own is gone", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const parkUntil = Date.now() + 3_000;
  const first = await openRecorder(bed, { handle: () => Promise.resolve({ parkUntil }) });
  const second = await openRecorder(bed, { lane: "count" });
  await producer.add("interactive", sampleJob(callId()));
  await eventually(async () => expect((await producer.depth()).interactive.delayed).toBe(1));
  await first.close(AbortSignal.abort());
  const third = await openRecorder(bed);
  await eventually(() => expect(third.deliveries).toMatchObject([{ delivery: 2, job: { parked: 1 } }]));
  expect(second.deliveries).toEqual([]);
});

test("waiting and parked jobs can be removed, running ones cannot", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const [waiting, parked, running] = [callId(), callId(), callId()];
  await producer.add("count", sampleJob(waiting));
  expect(await producer.remove("count", waiting)).toBe("removed");
  expect(await producer.remove("count", waiting)).toBe("absent");
  let end = (): void => undefined;
  const consumer = await openRecorder(bed, {
    handle: (job) =>
      job.head.id === parked
        ? Promise.resolve({ parkUntil: Date.now() + 60_000 })
        : new Promise((resolve) => (end = resolve)),
  });
  await producer.add("interactive", sampleJob(parked));
  await producer.add("interactive", sampleJob(running));
  await eventually(async () => expect((await producer.depth()).interactive).toMatchObject({ delayed: 1, active: 1 }));
  expect(await producer.remove("interactive", parked)).toBe("removed");
  expect(await producer.remove("interactive", running)).toBe("running");
  end();
  await eventually(() => expect(consumer.running).toBe(0));
  await eventually(async () => expect(await producer.remove("interactive", running)).toBe("absent"));
});

test("a job that a lost dispatcher had in hand is running until it is put aside again", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const id = callId();
  const state = async () => [await producer.remove("interactive", id), await producer.find("interactive", id)];
  const lost = await openRecorder(bed, { lockMs: 60_000, handle: () => new Promise(() => undefined) });
  await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(lost.running).toBe(1));
  await client.del(`{${bed.prefix}}:interactive:${id}:lock`);
  expect(await state()).toEqual(["running", "running"]);
  // Recovered, as BullMQ does it, and waiting for the next.
  const lane = `{${bed.prefix}}:interactive`;
  await lost.close(AbortSignal.abort());
  await client
    .multi()
    .lmove(`${lane}:active`, `${lane}:wait`, "LEFT", "RIGHT")
    .hincrby(`${lane}:${id}`, "stc", 1)
    .exec();
  expect((await producer.depth()).interactive).toEqual({ waiting: 1, delayed: 0, active: 0 });
  expect(await state()).toEqual(["running", "running"]);
  await openRecorder(bed, { handle: () => Promise.resolve({ parkUntil: Date.now() + 60_000 }) });
  await eventually(async () => expect((await producer.depth()).interactive.delayed).toBe(1));
  expect(await producer.find("interactive", id)).toBe("waiting");
  expect(await state()).toEqual(["removed", "absent"]);
  expect(await client.keys(`*${id}*`)).toEqual([]);
});

test("a job that a leaving dispatcher gave back is running", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const id = callId();
  const parkUntil = Date.now() + 200;
  const leaving = await openRecorder(bed, {
    handle: ({ parked }) => (parked ? new Promise(() => undefined) : Promise.resolve({ parkUntil })),
  });
  await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(leaving.deliveries).toHaveLength(2));
  await leaving.close(AbortSignal.abort());
  expect((await producer.depth()).interactive).toMatchObject({ delayed: 1, active: 0 });
  expect(await producer.find("interactive", id)).toBe("running");
  expect(await producer.remove("interactive", id)).toBe("running");
  const next = await openRecorder(bed);
  await eventually(() => expect(next.deliveries).toMatchObject([{ delivery: 3, redelivered: true }]));
});

test.each([
  ["not JSON", "{oops", "job is not JSON"],
  ["of another version", JSON.stringify({ ...sampleJob("x"), version: 2 }), "job is malformed at version"],
  ["another call's", JSON.stringify(sampleJob("call_other")), "job is malformed at head.id"],
])("a job whose payload is %s is reported and removed, and the next one is handled", async (_, data, reason) => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const redis = await bed.connect("command");
  const [bad, good] = [callId(), callId()];
  await producer.add("interactive", sampleJob(bad));
  await redis.client.hset(`{${bed.prefix}}:interactive:${bad}`, "data", data);
  const consumer = await openRecorder(bed);
  await producer.add("interactive", sampleJob(good));
  await eventually(() => expect(idsOf(consumer)).toEqual([good]));
  expect(consumer.failures).toMatchObject([{ job: { head: { id: bad } }, reason }]);
  await eventually(async () => expect(await producer.remove("interactive", bad)).toBe("absent"));
});

test("a handler that fails is reported, and its job is not handled again", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const consumer = await openRecorder(bed, { handle: () => Promise.reject(new Error("a bug")) });
  const id = callId();
  await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(consumer.failures).toMatchObject([{ job: { head: { id } } }]));
  await eventually(async () => expect(await producer.remove("interactive", id)).toBe("absent"));
  expect(consumer.deliveries).toHaveLength(1);
});

test("the fate of a queued, a running and a parked call is that its job is there", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const results = createResultStore({ redis: await bed.connect("command"), prefix: bed.prefix, ttlMs: 60_000 });
  const id = callId();
  await producer.add("interactive", sampleJob(id));
  expect(await results.fate("interactive", id)).toEqual({ state: "queued" });
  let end: (parking: { parkUntil: number }) => void = () => undefined;
  const consumer = await openRecorder(bed, { handle: () => new Promise((resolve) => (end = resolve)) });
  await eventually(() => expect(consumer.running).toBe(1));
  expect(await results.fate("interactive", id)).toEqual({ state: "queued" });
  end({ parkUntil: Date.now() + 60_000 });
  await eventually(async () => expect((await producer.depth()).interactive.delayed).toBe(1));
  expect(await results.fate("interactive", id)).toEqual({ state: "queued" });
  expect(await results.fate("count", id)).toEqual({ state: "unknown" });
});

test("a dispatcher that leaves finishes what runs and takes nothing more", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  let end = (): void => undefined;
  const leaving = await openRecorder(bed, { handle: () => new Promise((resolve) => (end = resolve)) });
  const id = callId();
  await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(leaving.running).toBe(1));
  const closed = leaving.close(new AbortController().signal);
  const late = callId();
  await producer.add("interactive", sampleJob(late));
  const staying = await openRecorder(bed);
  await eventually(() => expect(idsOf(staying)).toEqual([late]));
  end();
  await closed;
  expect(idsOf(leaving)).toEqual([id]);
  await eventually(async () => expect(await producer.remove("interactive", id)).toBe("absent"));
});

test("a job that comes while a dispatcher is told to leave is left to the others", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  for (let round = 0; round < 50; round++) {
    const prefix = `${bed.prefix}-${round}`;
    const lane = bed.own(createJobProducer(await bed.connect("command"), { prefix }));
    const leaving = await openRecorder(bed, { prefix });
    const early = callId();
    await lane.add("interactive", sampleJob(early));
    await eventually(() => expect(idsOf(leaving)).toEqual([early]), { everyMs: 1 });
    const closed = leaving.close(new AbortController().signal);
    await lane.add("interactive", sampleJob(callId()));
    await closed;
    expect(idsOf(leaving), `round ${round}`).toEqual([early]);
    expect((await lane.depth()).interactive).toMatchObject({ waiting: 1 });
  }
});

test("what was given back is not taken again for a sign that came while the consumer was told to leave", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const redis = await bed.connect("command");
  for (let round = 0; round < 20; round++) {
    const prefix = `${bed.prefix}-${round}`;
    const leaving = await openRecorder(bed, { prefix, handle: () => new Promise(() => undefined) });
    const lane = bed.own(createJobProducer(await bed.connect("command"), { prefix }));
    await lane.add("interactive", sampleJob(callId()));
    await eventually(() => expect(leaving.running).toBe(1));
    // On its way to the consumer when that is told to leave.
    void redis.client.zadd(`{${prefix}}:interactive:marker`, 0, "0");
    for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
    await leaving.close(AbortSignal.abort());
    expect((await lane.depth()).interactive, `round ${round}`).toMatchObject({ delayed: 1, active: 0 });
  }
});

test("what still runs when time is up is given back, and the next dispatcher knows that it was opened", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  let signal: AbortSignal | undefined;
  const leaving = await openRecorder(bed, {
    handle: (_job, context) => {
      signal = context.signal;
      return new Promise(() => undefined);
    },
  });
  const job = sampleJob(callId());
  await producer.add("interactive", job);
  await eventually(() => expect(leaving.running).toBe(1));
  const timeUp = new AbortController();
  const closed = leaving.close(timeUp.signal);
  expect(signal?.aborted).toBe(false);
  timeUp.abort();
  await closed;
  expect(signal?.aborted).toBe(true);
  const staying = await openRecorder(bed);
  await eventually(() =>
    expect(staying.deliveries).toMatchObject([{ delivery: 2, redelivered: true, job: { ...job, reopened: true } }]),
  );
});
