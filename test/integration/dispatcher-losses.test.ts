import { afterEach, expect, inject, test } from "vitest";
import { answerOf, jobOf, startDispatcherBench, type DispatcherBench } from "../support/dispatcher-bench.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";

let bench: DispatcherBench;
afterEach(async () => {
  await bench.close();
});

test("a job that finds no worker waits for one", async () => {
  bench = await startDispatcherBench(inject("redisUrl"), { worker: false });
  const outcome = bench.run(jobOf(), 20_000);
  await eventually(async () => expect((await bench.producer.depth()).interactive.delayed).toBe(1));
  await bench.startWorker();
  expect(await outcome).toMatchObject({ status: 200 });
});

test("a job that finds no worker and may not wait is answered as overloaded", async () => {
  bench = await startDispatcherBench(inject("redisUrl"), { worker: false });
  const outcome = await bench.run(jobOf({ waitMs: 0 }));
  expect(outcome).toMatchObject({ status: 529, code: "overloaded", headers: { "retry-after": "1" } });
});

test("an outcome that Redis cannot take is kept and recorded when Redis is back", async () => {
  await using redis = await startRedis();
  bench = await startDispatcherBench(redis.url);
  const go = Promise.withResolvers<void>();
  bench.answer = async () => {
    await go.promise;
    return answerOf("kept");
  };
  const outcome = bench.run(jobOf(), 25_000);
  await eventually(() => expect(bench.calls).toHaveLength(1));
  redis.freeze();
  go.resolve();
  await eventually(() => expect(bench.dispatcher.unsettled).toBe(1));
  redis.thaw();
  expect((await outcome).body.toString()).toContain("kept");
  expect(bench.calls).toHaveLength(1);
  await eventually(() => expect(bench.dispatcher.unsettled).toBe(0));
  await bench.close();
});

test("calls that a leaving dispatcher gives back are finished by another, without a second call", async () => {
  bench = await startDispatcherBench(inject("redisUrl"));
  const go = Promise.withResolvers<void>();
  bench.answer = async () => {
    await go.promise;
    return answerOf("finished");
  };
  const outcome = bench.run(jobOf(), 25_000);
  await eventually(() => expect(bench.calls).toHaveLength(1));
  const other = await bench.addDispatcher();
  await bench.dispatcher.drain(AbortSignal.abort());
  await eventually(() => expect(other.running).toBe(1));
  go.resolve();
  expect((await outcome).body.toString()).toContain("finished");
  expect(bench.calls).toHaveLength(1);
});

test("a job whose outcome Redis has no room for is there until that is recorded, once", async () => {
  await using redis = await startRedis();
  bench = await startDispatcherBench(redis.url);
  const { client } = bench.redis;
  const go = Promise.withResolvers<void>();
  bench.answer = async () => {
    await go.promise;
    return answerOf("kept");
  };
  const job = jobOf();
  const heard: string[] = [];
  const outcome = bench.run(job, 25_000).then(({ body }) => heard.push(body.toString()));
  await eventually(() => expect(bench.calls).toHaveLength(1));
  await client.config("SET", "maxmemory", "1");
  go.resolve();
  await eventually(() => expect(bench.dispatcher.unsettled).toBe(1));
  const jobKeys = () => client.keys(`*:interactive:${job.head.id}*`);
  expect(await jobKeys()).toHaveLength(2);
  await client.config("SET", "maxmemory", "0");
  await outcome;
  await eventually(async () => expect(await jobKeys()).toEqual([]));
  await eventually(async () =>
    expect((await bench.producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 0 }),
  );
  expect(heard).toEqual(['{"text":"kept"}']);
  expect(bench.calls).toHaveLength(1);
  await bench.close();
});

test("calls whose connection to Redis is cut with their outcomes are each answered once, and their jobs go", async () => {
  await using redis = await startRedis();
  bench = await startDispatcherBench(redis.url);
  const { client } = bench.redis;
  const outcomes = Array.from({ length: 40 }, (_, index) => {
    const job = jobOf();
    return new Promise((resolve) => setTimeout(resolve, 5 * index)).then(async () => bench.run(job, 25_000));
  });
  const own = await client.client("ID");
  for (let cut = 0; cut < 3; cut += 1) {
    await eventually(() => expect(bench.calls.length).toBeGreaterThan(10 * cut));
    const list = String(await client.client("LIST"));
    for (const [, id] of list.matchAll(/^id=(\d+) .* name=sluice:command /gm))
      if (Number(id) !== own) await client.client("KILL", "ID", Number(id));
  }
  for (const outcome of outcomes) expect(await outcome).toMatchObject({ status: 200 });
  expect(bench.calls).toHaveLength(outcomes.length);
  await eventually(async () => expect(await client.keys("*:interactive:call_*")).toEqual([]));
  await eventually(async () =>
    expect((await bench.producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 0 }),
  );
  await bench.close();
});
