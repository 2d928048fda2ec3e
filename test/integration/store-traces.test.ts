import { expect, inject, test } from "vitest";
import { createAffinityStore } from "#shared/store/affinity.ts";
import { createTraceStore, type StoredTrace } from "#shared/store/trace-store.ts";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleOutcome, type StoreBed } from "../support/store-bed.ts";

function sampleTrace(id: string, more: Partial<StoredTrace> = {}): StoredTrace {
  const { body: _body, headers: _headers, status, ...facts } = sampleOutcome();
  return {
    ...facts,
    id,
    requestId: `req_${id}`,
    keyId: "key:a",
    operation: "messages",
    stream: false,
    model: "claude-opus-4-8",
    status,
    acceptedAt: 1,
    endedAt: 2,
    queueMs: 0,
    attempts: [{ ...facts.attempts[0]!, upstreamRequestId: `up_${id}` }],
    ...more,
  };
}

async function openTraces(bed: StoreBed, ttlMs = 60_000) {
  const { prefix, logger } = bed;
  return bed.own(createTraceStore({ redis: await bed.connect("command"), prefix, ttlMs, logger }));
}

test("a trace is found by the call's id and by every upstream request id, by its own key only", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const traces = await openTraces(bed);
  const trace = sampleTrace(callId());
  traces.put(trace);
  await eventually(async () => expect(await traces.get("key:a", trace.id)).toEqual(trace));
  expect(await traces.get("key:a", trace.requestId)).toEqual(trace);
  expect(await traces.get("key:a", `up_${trace.id}`)).toEqual(trace);
  expect(await traces.get("key:b", trace.id)).toBeUndefined();
  expect(await traces.get("key:a", "call_unknown")).toBeUndefined();
});

test("a burst of traces is written in full, each with a time to live", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const traces = await openTraces(bed);
  const ids = Array.from({ length: 500 }, () => callId());
  for (const id of ids) traces.put(sampleTrace(id));
  await traces.close();
  await eventually(async () => {
    for (const id of ids) expect((await traces.get("key:a", id))?.id).toBe(id);
  });
  const redis = await bed.connect("command");
  const keys = await redis.client.keys(`{${bed.prefix}}:*`);
  const fields = await Promise.all(keys.map((key) => redis.client.hlen(key)));
  expect(fields.reduce((sum, fields) => sum + fields, 0)).toBe(1500);
  expect(Math.min(...(await Promise.all(keys.map((key) => redis.client.pttl(key)))))).toBeGreaterThan(0);
  expect(traces.dropped).toBe(0);
});

test("an upstream id can stand in front of no call's trace", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const traces = await openTraces(bed);
  const [victim, liar] = [sampleTrace(callId()), callId()];
  traces.put(victim);
  traces.put(sampleTrace(liar, { requestId: victim.id }));
  await traces.close();
  expect((await traces.get("key:a", victim.id))?.id).toBe(victim.id);
});

test("traces are dropped and counted while Redis is away or short of memory", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const traces = await openTraces(bed);
  const other = await bed.connect("command");
  await other.client.config("SET", "maxmemory", "1200000");
  traces.put(sampleTrace(callId()));
  await traces.close();
  expect(traces.dropped).toBe(1);
  await redis.kill();
  await eventually(() => expect(other.isReady).toBe(false));
  traces.put(sampleTrace(callId()));
  await eventually(() => expect(traces.dropped).toBe(2));
});

test("a conversation's and a thread's places are remembered per key", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const redis = await bed.connect("command");
  const store = createAffinityStore({ redis, prefix: bed.prefix });
  const [served, holder] = [
    { provider: "bedrock", model: "us.anthropic.claude-opus-4-8-v1:0" },
    { provider: "anthropic", model: "claude-opus-4-8" },
  ];
  store.rememberAffinity("key:a", "hash", served);
  await store.bind("key:a", "msg_1", holder);
  await store.bind("key:a", "container_1", served);
  const all = { affinity: "hash", threadId: "msg_1", containerId: "container_1" };
  await eventually(async () => expect(await store.places("key:a", all)).toEqual({ affinity: served, bound: holder }));
  expect(await store.places("key:a", { containerId: "container_1" })).toEqual({ bound: served });
  expect(await store.places("key:a", { threadId: "msg_2", affinity: "hash" })).toEqual({ affinity: served });
  expect(await store.places("key:b", all)).toEqual({});
  expect(await store.places("key:a", {})).toEqual({});
  const lifetimes = await Promise.all(
    (await redis.client.keys(`{${bed.prefix}}:*`)).toSorted().map((key) => redis.client.pttl(key)),
  );
  expect(lifetimes.map((ms) => Math.ceil(ms / 60_000))).toEqual([5, 24 * 60, 10]);
});

test("without Redis no place is known, and nothing waits or fails", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const store = createAffinityStore({ redis: await bed.connect("command"), prefix: bed.prefix });
  redis.freeze();
  const look = async (): Promise<number> => {
    const startedAt = performance.now();
    expect(await store.places("key:a", { affinity: "hash" })).toEqual({});
    return performance.now() - startedAt;
  };
  expect(await bestOf(3, look, 300)).toBeLessThan(300);
  store.rememberAffinity("key:a", "hash", { provider: "p", model: "m" });
  await store.bind("key:a", "msg_1", { provider: "p", model: "m" });
  redis.thaw();
});
