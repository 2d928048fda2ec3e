import { Writable } from "node:stream";
import { expect, inject, test } from "vitest";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import { createAffinityStore } from "#shared/store/affinity.ts";
import { createBodyStore } from "#shared/store/body-store.ts";
import { connectRedis, type RedisConnection } from "#shared/store/connect-redis.ts";
import { createKeyLimits } from "#shared/store/key-limits.ts";
import { createRedisHealth } from "#shared/store/redis-health.ts";
import { createResultStore } from "#shared/store/result-store.ts";
import { createTargetBoard } from "#shared/store/target-board.ts";
import { createTraceStore } from "#shared/store/trace-store.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleJob, sampleOutcome } from "../support/store-bed.ts";

test("commands of one turn leave in one write", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const { client } = await bed.connect("command");
  let writes = 0;
  const { _writev: writev, _write: write } = client.stream as Writable;
  client.stream._writev = (...args) => ((writes += 1), writev?.apply(client.stream, args));
  client.stream._write = (...args) => ((writes += 1), write.apply(client.stream, args));
  const values = await Promise.all(Array.from({ length: 50 }, (_, i) => client.get(`${bed.prefix}:${i}`)));
  expect(values).toHaveLength(50);
  expect(writes).toBe(1);
});

test("a command to a Redis that stands still is rejected within the second, one to a Redis that is gone at once", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const refusal = async (connection: RedisConnection, words: string): Promise<number> => {
    const askedAt = performance.now();
    await expect(connection.client.get("k")).rejects.toThrow(words);
    return performance.now() - askedAt;
  };
  const frozen = async (): Promise<number> => {
    const connection = await bed.connect("command");
    redis.freeze();
    const ms = await refusal(connection, "timed out");
    redis.thaw();
    return ms;
  };
  expect(await bestOf(3, frozen, 1000)).toBeLessThan(1000);
  const connection = await bed.connect("command");
  await redis.kill();
  await eventually(() => expect(connection.awaySince).toBeTypeOf("number"));
  expect(await bestOf(3, () => refusal(connection, ""), 100)).toBeLessThan(100);
});

test("a process that stood still for longer than a command has time hears its answer", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const connection = bed.own(connectRedis(inject("redisUrl"), "command", { ...bed, commandTimeoutMs: 200 }));
  await connection.ready();
  for (let round = 0; round < 10; round++) {
    const answer = connection.client.set(`{${bed.prefix}}:still`, round, "PX", 60_000);
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    expect(await answer).toBe("OK");
  }
});

test.concurrent("a write that was rejected is not made up for later", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const connection = await bed.connect("command");
  await redis.kill();
  await expect(connection.client.set("late", "1")).rejects.toThrow();
  await redis.start();
  await connection.ready(AbortSignal.timeout(20_000));
  expect(await connection.client.get("late")).toBeNull();
});

test.concurrent("a frozen Redis is found out by connections that have nothing to ask, too", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const connections = [await bed.connect("subscriber"), await bed.connect("blocking"), await bed.connect("command")];
  redis.freeze();
  await eventually(() => expect(connections.map(({ isReady }) => isReady)).toEqual([false, false, false]));
  redis.thaw();
  await Promise.all(connections.map((connection) => connection.ready(AbortSignal.timeout(20_000))));
});

test.concurrent("an outage is logged once when it begins and once when it ends", async () => {
  await using redis = await startRedis();
  const lines: { msg: string }[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as { msg: string });
      done();
    },
  });
  await using bed = createStoreBed(redis.url);
  const connection = bed.own(
    connectRedis(redis.url, "command", { logger: createLogger({ name: "test", destination }) }),
  );
  await connection.ready();
  let attempts = 0;
  connection.client.on("reconnecting", () => (attempts += 1));
  await redis.kill();
  await eventually(() => expect(attempts).toBeGreaterThan(4));
  await redis.start();
  await connection.ready(AbortSignal.timeout(20_000));
  await eventually(() => expect(lines.map(({ msg }) => msg)).toEqual(["redis is away", "redis is back"]));
});

test.concurrent("a password in the URL is used, and appears in no log", async () => {
  await using redis = await startRedis({ password: "hunter2" });
  let log = "";
  const destination = new Writable({ write: (chunk: Buffer, _encoding, done) => ((log += chunk.toString()), done()) });
  const logger = createLogger({ name: "test", destination, level: "trace" });
  await using bed = createStoreBed(redis.url);
  await bed.connect("command");
  const wrong = bed.own(connectRedis(redis.url.replace("hunter2", "hunter3"), "command", { logger }));
  await eventually(() => expect(log).toContain("redis is away"));
  expect(wrong.isReady).toBe(false);
  expect(log).not.toMatch(/hunter/);
});

test.concurrent("readiness names an evicting policy and full memory, and does not mind Redis being away", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const connection = await bed.connect("command");
  const health = bed.own(createRedisHealth({ redis: connection }));
  await health.check();
  expect(health.reasons()).toEqual([]);
  await connection.client.config("SET", "maxmemory-policy", "allkeys-lru");
  await connection.client.config("SET", "maxmemory", "1000000");
  await health.check();
  expect(health.reasons()).toEqual([
    "redis: maxmemory-policy is allkeys-lru, must be noeviction",
    expect.stringMatching(/^redis: \d+ % of maxmemory in use$/),
  ]);
  await connection.client.config("SET", "maxmemory", "0");
  await connection.client.config("SET", "maxmemory-policy", "noeviction");
  await health.check();
  expect([health.reasons(), health.isDegraded]).toEqual([[], false]);
  await redis.kill();
  await eventually(() => expect(health.isDegraded).toBe(true));
  expect(health.reasons()).toEqual([]);
});

test.concurrent("every script keeps to one slot of a Redis Cluster", async () => {
  await using redis = await startRedis({ cluster: true });
  await using bed = createStoreBed(redis.url);
  const { prefix, logger } = bed;
  const connection = await bed.connect("command");
  const subscriber = await bed.connect("subscriber");
  const results = bed.own(createResultStore({ redis: connection, prefix, ttlMs: 60_000 }));
  const id = callId();
  const ids = [callId(), callId()];
  await Promise.all(ids.map((one) => results.settle(one, sampleOutcome(), "channel")));
  results.acknowledge(ids[0]!);
  results.acknowledge(ids[1]!);
  await results.close();
  expect(await results.begin(ids[1]!)).toEqual({ answered: true, cancelled: false });
  await results.cancel(id, Date.now() + 60_000);
  expect(await results.fate("interactive", id)).toEqual({ state: "unknown" });
  await createBodyStore({ redis: connection, prefix }).put(id, Buffer.from("{}"), 60_000);
  const limits = createKeyLimits({ redis: connection, prefix });
  const admissions = [1, 2].map((n) =>
    limits.admit("key:a", { rpm: 1, concurrent: 2 }, { id: `call_${n}`, holdMs: 60_000 }),
  );
  expect((await Promise.all(admissions)).map(({ ok }) => ok)).toEqual([true, false]);
  const board = bed.own(createTargetBoard({ redis: connection, subscriber, prefix, logger }));
  await eventually(() => expect(board.shared).toBe(true));
  board.block({ provider: "p", model: "m" }, Date.now() + 60_000, { reason: "rate_limited" });
  expect(await board.takeProbe({ provider: "p", model: "m" }, 60_000)).toBe(true);
  await eventually(async () => expect(await connection.client.hlen(`{${prefix}}:targets`)).toBe(1));
  const affinity = createAffinityStore({ redis: connection, prefix });
  await affinity.bind("key:a", "msg_1", { provider: "p", model: "m" });
  expect(await affinity.places("key:a", { threadId: "msg_1", affinity: "h" })).toHaveProperty("bound");
  const traces = createTraceStore({ redis: connection, prefix, ttlMs: 60_000, logger });
  const { body: _body, headers: _headers, ...facts } = sampleOutcome();
  const times = { acceptedAt: 1, endedAt: 2, queueMs: 0 };
  const trace = { ...facts, id, requestId: "req_1", keyId: "key:a", operation: "messages" as const, stream: false };
  traces.put({ ...trace, ...times, model: "m" });
  await traces.close();
  expect(await traces.get("key:a", "req_1")).toMatchObject({ id });
  const producer = bed.own(createJobProducer(connection, { prefix }));
  await producer.add("interactive", sampleJob(id));
  expect(await results.fate("interactive", id)).toEqual({ state: "queued" });
  expect(await producer.remove("interactive", id)).toBe("removed");
});
