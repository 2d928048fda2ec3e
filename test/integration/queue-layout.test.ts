import { Queue, Worker } from "bullmq";
import { expect, inject, test } from "vitest";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import type { KnownCall } from "#shared/queue/taken-job.ts";
import { encodeJob } from "#shared/queue/job.ts";
import { createResultStore } from "#shared/store/result-store.ts";
import { eventually } from "../support/eventually.ts";
import { openConsumer, openProducer } from "../support/queue-bed.ts";
import { callId, createStoreBed, sampleJob, sampleOutcome, type StoreBed } from "../support/store-bed.ts";

// The scripts of ours write what BullMQ's read, and the other way round: this is what an update of BullMQ must keep.

async function consume(bed: StoreBed): Promise<Map<string, { delivery: number; known: KnownCall }>> {
  const handled = new Map<string, { delivery: number; known: KnownCall }>();
  await openConsumer(bed, {
    handle({ head }, { delivery, known }) {
      handled.set(head.id, { delivery, known });
      return Promise.resolve();
    },
  });
  return handled;
}

test("a job of ours is handled by BullMQ's own worker", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const [first, second] = [sampleJob(callId()), sampleJob(callId())];
  await Promise.all([producer.add("interactive", first), producer.add("interactive", second)]);
  const handled: unknown[] = [];
  const { client: connection } = await bed.connect("blocking");
  const worker = new Worker(
    "interactive",
    ({ id, name, data, opts, timestamp }) =>
      Promise.resolve(handled.push({ id, name, data: data as unknown, attempts: opts.attempts, timestamp })),
    { connection, prefix: `{${bed.prefix}}`, removeOnComplete: { count: 0 } },
  );
  bed.onEnd(() => worker.close(true));
  const seen = (job: typeof first) => ({ id: job.head.id, name: "c", data: job, timestamp: job.enqueuedAt });
  await eventually(() => expect(handled).toMatchObject([seen(first), seen(second)]));
  await eventually(async () =>
    expect((await producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 0 }),
  );
});

test("jobs of BullMQ's own queue, at once or delayed, are handled by ours, and nothing stays", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const { client } = await bed.connect("command");
  const queue = new Queue("interactive", { connection: client, prefix: `{${bed.prefix}}` });
  const handled = await consume(bed);
  const ids = [callId(), callId()];
  const delays = [0, 300];
  for (const [index, id] of ids.entries()) {
    const data: unknown = JSON.parse(encodeJob(sampleJob(id)));
    await queue.add("c", data, { jobId: id, delay: delays[index] ?? 0 });
  }
  await eventually(() => expect([...handled.keys()]).toEqual(ids));
  await eventually(async () =>
    expect(await queue.getJobCounts("wait", "active", "delayed", "completed", "failed")).toEqual({
      wait: 0,
      active: 0,
      delayed: 0,
      completed: 0,
      failed: 0,
    }),
  );
  for (const id of ids) expect(await client.keys(`{${bed.prefix}}:interactive:${id}*`)).toEqual([]);
});

test("a job is handed out with what is known of its call", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const redis = await bed.connect("command");
  const producer = bed.own(createJobProducer(redis, { prefix: bed.prefix }));
  const results = bed.own(createResultStore({ redis, prefix: bed.prefix, ttlMs: 60_000 }));
  const [fresh, answered, cancelled] = [callId(), callId(), callId()];
  await results.settle(answered, sampleOutcome(), "");
  await results.cancel(cancelled, Date.now() + 60_000);
  for (const id of [fresh, answered, cancelled]) await producer.add("interactive", sampleJob(id));
  const handled = await consume(bed);
  await eventually(() => expect(handled.size).toBe(3));
  const state = (id: string) => ({ delivery: 1, known: handled.get(id)?.known });
  expect(state(fresh)).toMatchObject({ known: { answered: false, cancelled: false } });
  expect(state(answered)).toMatchObject({ known: { answered: true, cancelled: false } });
  expect(state(cancelled)).toMatchObject({ known: { answered: false, cancelled: true } });
});
