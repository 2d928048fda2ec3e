import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { metrics } from "#shared/telemetry/metrics.ts";
import {
  answerOf,
  blockedUntil,
  jobOf,
  startDispatcherBench,
  type DispatcherBench,
} from "../support/dispatcher-bench.ts";
import { eventually } from "../support/eventually.ts";

let bench: DispatcherBench;
beforeEach(async () => {
  bench = await startDispatcherBench(inject("redisUrl"));
});
afterEach(async () => {
  await bench.close();
});

async function laneIsEmpty(): Promise<void> {
  await eventually(async () => {
    const { interactive } = await bench.producer.depth();
    expect(interactive).toEqual({ waiting: 0, delayed: 0, active: 0 });
  });
}

test("a job goes to a worker once, its outcome to whoever asked, and the job is gone", async () => {
  const job = jobOf();
  const outcome = await bench.run(job);
  expect(outcome).toMatchObject({ status: 200, code: "ok", body: Buffer.from('{"text":"hello"}') });
  expect(bench.calls).toHaveLength(1);
  expect(bench.calls[0]).toMatchObject({ head: job.head, delivery: 1, body: { bytes: Buffer.from(job.body ?? "") } });
  expect(await bench.results.begin(job.head.id)).toMatchObject({ answered: true });
  await laneIsEmpty();
});

test("the time in the queue is the first wait of the outcome", async () => {
  const waits = [{ kind: "backoff", startedAt: 1, endedAt: 2 }] as const;
  bench.answer = async () => answerOf("late", { waits });
  const job = { ...jobOf(), enqueuedAt: Date.now() - 5000 };
  const outcome = await bench.run(job);
  expect(outcome.waits.map(({ kind, startedAt }) => [kind, startedAt])).toEqual([
    ["queue", job.enqueuedAt],
    ["backoff", 1],
  ]);
  expect(outcome.waits[0]?.endedAt).toBeGreaterThanOrEqual(job.enqueuedAt + 5000);
});

test("a large body goes to the worker as the key it lies under", async () => {
  const { body: _, ...job } = jobOf();
  await bench.run({ ...job, bodyKey: "a-key" });
  expect(bench.calls[0]?.body).toEqual({ key: "a-key" });
});

test("a job whose call is answered already is dropped without a call", async () => {
  const job = jobOf();
  await bench.results.settle(job.head.id, answerOf("before"), "");
  await bench.producer.add("interactive", job);
  await laneIsEmpty();
  expect(bench.calls).toEqual([]);
  expect((await bench.results.read(job.head.id))?.body.toString()).toBe('{"text":"before"}');
});

test("a job whose caller is gone is dropped, and nothing is settled", async () => {
  const job = jobOf();
  await bench.results.cancel(job.head.id, job.head.deadlineAt);
  await bench.producer.add("interactive", job);
  await laneIsEmpty();
  expect(bench.calls).toEqual([]);
  expect(await bench.results.begin(job.head.id)).toMatchObject({ answered: false });
});

test("an asynchronous job that its caller ended before it ran is recorded as canceled, and no worker has it", async () => {
  const recorded: unknown[] = [];
  await bench.close();
  bench = await startDispatcherBench(inject("redisUrl"), {
    worker: true,
    recorders: { job: { record: async (_, outcome) => (recorded.push(outcome), "recorded") } },
  });
  const job = { ...jobOf(), record: { kind: "job" } } as const;
  await bench.results.cancel(job.head.id, job.head.deadlineAt);
  await bench.producer.add("background", job);
  await eventually(() => expect(recorded).toMatchObject([{ status: 409, code: "cancelled", attempts: [] }]));
  expect(bench.calls).toEqual([]);
});

test("a call whose caller leaves while it runs is cancelled down to the worker, and nothing is settled", async () => {
  const cancelled = Promise.withResolvers<void>();
  bench.answer = (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        cancelled.resolve();
        reject(new Error("cancelled"));
      });
    });
  const job = jobOf();
  await bench.producer.add("interactive", job);
  await eventually(() => expect(bench.calls).toHaveLength(1));
  await bench.results.cancel(job.head.id, job.head.deadlineAt);
  await cancelled.promise;
  await laneIsEmpty();
  expect(await bench.results.begin(job.head.id)).toMatchObject({ answered: false });
});

test("a job past its deadline is settled as timed out without calling a worker", async () => {
  const outcome = await bench.run(jobOf({ deadlineMs: -1 }));
  expect(outcome).toMatchObject({ status: 504, code: "timed_out" });
  expect(outcome.headers).not.toHaveProperty("x-should-retry");
  expect(JSON.parse(outcome.body.toString())).toMatchObject({ type: "error", error: { type: "timeout_error" } });
  expect(bench.calls).toEqual([]);
});

test("a call whose worker does not come back is settled as timed out a moment after its deadline", async () => {
  bench.answer = () => new Promise(() => undefined);
  const job = jobOf({ deadlineMs: 3_000 });
  const outcome = await bench.run(job);
  expect(outcome).toMatchObject({ status: 504, code: "timed_out", headers: { "x-should-retry": "false" } });
  expect(Date.now()).toBeGreaterThanOrEqual(job.head.deadlineAt + 1000);
});

test("a job that met a limit is parked until it resets, holding nothing, and then answered", async () => {
  const taken = async (): Promise<number> =>
    (await metrics.queueWaitSeconds.get()).values.find(
      ({ metricName, labels }) => metricName?.endsWith("_count") && labels["lane"] === "interactive",
    )?.value ?? 0;
  const before = await taken();
  const resetAt = Date.now() + 4_000;
  const callTimes: number[] = [];
  bench.answer = async () => {
    callTimes.push(Date.now());
    return Date.now() < resetAt ? blockedUntil(resetAt) : answerOf("after the reset");
  };
  const outcome = bench.run(jobOf());
  await eventually(async () => {
    expect((await bench.producer.depth()).interactive).toEqual({ waiting: 0, delayed: 1, active: 0 });
  });
  await eventually(() => expect(bench.dispatcher.running).toBe(0));
  expect((await outcome).body.toString()).toContain("after the reset");
  expect(callTimes).toHaveLength(2);
  expect(bench.calls.map(({ delivery }) => delivery)).toEqual([1, 2]);
  expect((await outcome).waits.map(({ kind }) => kind)).toEqual(["queue", "capacity"]);
  // What it waited for a limit is no time in the queue.
  expect(await taken()).toBe(before + 1);
});

test("a limit that outlasts the time a caller can wait is answered at once", async () => {
  bench.answer = async () => blockedUntil(Date.now() + 5_000);
  const outcome = await bench.run(jobOf({ waitMs: 2000 }));
  expect(outcome).toMatchObject({ status: 429, code: "rate_limited" });
  expect(bench.calls).toHaveLength(1);
});

test("an outcome is recorded once, whoever comes second", async () => {
  const job = jobOf();
  bench.answer = async () => {
    await bench.results.settle(job.head.id, answerOf("first"), "");
    return answerOf("second");
  };
  await bench.producer.add("interactive", job);
  await eventually(() => expect(bench.calls).toHaveLength(1));
  await laneIsEmpty();
  expect((await bench.results.read(job.head.id))?.body.toString()).toContain("first");
});

test("a worker's failure reaches the caller as an error of ours without its words", async () => {
  bench.answer = () => Promise.reject(new Error("a secret"));
  const outcome = await bench.run(jobOf());
  expect(outcome.status).toBe(500);
  expect(outcome.body.toString()).not.toContain("secret");
});

test("the outcome of a job that is recorded goes to the recorder of its kind, again until it is taken", async () => {
  const recorded: [string, number][] = [];
  let refusals = 2;
  await bench.close();
  bench = await startDispatcherBench(inject("redisUrl"), {
    worker: true,
    recorders: {
      job: {
        record: async (job, outcome) => {
          if (refusals-- > 0) throw new Error("Redis is away");
          recorded.push([job.head.id, outcome.status]);
          return "recorded";
        },
      },
    },
  });
  const job = { ...jobOf(), record: { kind: "job" } } as const;
  await bench.producer.add("background", job);
  await eventually(() => expect(recorded).toEqual([[job.head.id, 200]]));
  expect(await bench.results.read(job.head.id)).toBeUndefined();
});

test("an outcome that is to be kept for long is", async () => {
  const job = { ...jobOf(), keepMs: 3_600_000 };
  await bench.run(job);
  const [key] = await bench.redis.client.keys(`*:outcome:${job.head.id}`);
  expect(await bench.redis.client.pttl(key ?? "")).toBeGreaterThan(3_500_000);
  expect(await bench.results.read(job.head.id)).toMatchObject({ status: 200 });
});
