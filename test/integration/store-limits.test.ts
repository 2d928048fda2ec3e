import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { expect, inject, test } from "vitest";
import { createKeyLimits } from "#shared/store/key-limits.ts";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import { bestOf } from "../support/best-of.ts";
import { startRedis } from "../support/redis-process.ts";
import { eventually } from "../support/eventually.ts";
import { callId, createStoreBed, type StoreBed } from "../support/store-bed.ts";

const holdMs = 60_000;

async function openLimits(bed: StoreBed) {
  return createKeyLimits({ redis: await bed.connect("command"), prefix: bed.prefix });
}

test("a minute's calls are counted over all gateways, and the refused one is told when to come back", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const gateways = [await openLimits(bed), await openLimits(bed)];
  const admissions = await Promise.all(
    Array.from({ length: 6 }, (_, i) => gateways[i % 2]!.admit("key:a", { rpm: 4 }, { id: callId(), holdMs })),
  );
  const refused = admissions.filter((admission) => !admission.ok);
  expect(refused).toHaveLength(2);
  for (const admission of refused) expect(admission).toEqual({ ok: false, retryAfterS: 15 });
});

test("calls at once are counted over all gateways until they are released", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const [one, other] = [await openLimits(bed), await openLimits(bed)];
  const ids = [callId(), callId()];
  for (const id of ids) expect((await one.admit("key:a", { concurrent: 2 }, { id, holdMs })).ok).toBe(true);
  expect(await other.admit("key:a", { concurrent: 2 }, { id: callId(), holdMs })).toEqual({
    ok: false,
    retryAfterS: 1,
  });
  one.release("key:a", ids[0]!);
  await eventually(async () =>
    expect((await other.admit("key:a", { concurrent: 2 }, { id: "next", holdMs })).ok).toBe(true),
  );
});

test("the place of a call whose gateway is gone becomes free by itself", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const limits = await openLimits(bed);
  expect((await limits.admit("key:a", { concurrent: 1 }, { id: callId(), holdMs: 100 })).ok).toBe(true);
  await eventually(async () =>
    expect((await limits.admit("key:a", { concurrent: 1 }, { id: "next", holdMs: 100 })).ok).toBe(true),
  );
});

test("a call that lasts longer than it was thought to keeps its place until it is released", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const limits = createKeyLimits({ redis: await bed.connect("command"), prefix: bed.prefix, renewEveryMs: 1_500 });
  const other = await openLimits(bed);
  const id = callId();
  // Longer than a moment in which nothing is renewed.
  const thoughtMs = 4_000;
  expect((await limits.admit("key:a", { concurrent: 1 }, { id, holdMs: thoughtMs })).ok).toBe(true);
  await sleep(thoughtMs + 500);
  expect((await other.admit("key:a", { concurrent: 1 }, { id: callId(), holdMs })).ok).toBe(false);
  limits.release("key:a", id);
  await eventually(async () =>
    expect((await other.admit("key:a", { concurrent: 1 }, { id: "next", holdMs })).ok).toBe(true),
  );
});

test("a call refused for being too many at once has used up no minute", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const limits = await openLimits(bed);
  const both = { rpm: 2, concurrent: 1 };
  const id = callId();
  expect((await limits.admit("key:a", both, { id, holdMs })).ok).toBe(true);
  expect((await limits.admit("key:a", both, { id: callId(), holdMs })).ok).toBe(false);
  limits.release("key:a", id);
  await eventually(async () => expect((await limits.admit("key:a", both, { id: "next", holdMs })).ok).toBe(true));
});

test("a key without limits asks nobody, and keys do not share", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const limits = await openLimits(bed);
  expect(await limits.admit("key:a", undefined, { id: callId(), holdMs })).toEqual({ ok: true });
  expect(await limits.admit("key:a", {}, { id: callId(), holdMs })).toEqual({ ok: true });
  expect((await limits.admit("key:b", { rpm: 1 }, { id: callId(), holdMs })).ok).toBe(true);
  expect((await limits.admit("key:c", { rpm: 1 }, { id: callId(), holdMs })).ok).toBe(true);
  const redis = await bed.connect("command");
  expect(await redis.client.keys(`{${bed.prefix}}:*key:a*`)).toEqual([]);
});

test("while Redis stands still or is gone the same limits hold locally, without delay", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const limits = await openLimits(bed);
  const admitTwo = async (key: string): Promise<number> => {
    const startedAt = performance.now();
    const admissions = [1, 2, 3].map(() => limits.admit(key, { rpm: 2 }, { id: callId(), holdMs }));
    expect((await Promise.all(admissions)).map(({ ok }) => ok)).toEqual([true, true, false]);
    return performance.now() - startedAt;
  };
  redis.freeze();
  expect(await bestOf(3, (round) => admitTwo(`key:frozen ${round}`), 400)).toBeLessThan(400);
  redis.thaw();
  await redis.kill();
  expect(await bestOf(3, (round) => admitTwo(`key:gone ${round}`), 400)).toBeLessThan(400);
});

test("a lease that Redis granted too late, to a call refused meanwhile, is given back", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const limits = await openLimits(bed);
  redis.freeze();
  expect((await limits.admit("key:a", { concurrent: 1 }, { id: "first", holdMs })).ok).toBe(true);
  expect((await limits.admit("key:a", { concurrent: 1 }, { id: "late", holdMs })).ok).toBe(false);
  limits.release("key:a", "first");
  redis.thaw();
  await eventually(async () =>
    expect((await limits.admit("key:a", { concurrent: 1 }, { id: "next", holdMs })).ok).toBe(true),
  );
});

test("a key with half of its limits left is admitted without waiting for Redis, and counted there", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const redis = await bed.connect("command");
  const leases = createStoreKeys(bed.prefix).leases("key:a");
  const one = await openLimits(bed);
  const limits = { rpm: 100, concurrent: 20 };
  const ids = Array.from({ length: 12 }, callId);
  const beginAtOnce = (id = ""): boolean => one.admitAtOnce("key:a", limits, { id, holdMs });
  expect(beginAtOnce("nothing is known of the key")).toBe(false);
  expect((await one.admit("key:a", limits, { id: ids[0]!, holdMs })).ok).toBe(true);
  for (let count = 1; count <= 10; count++) {
    await eventually(() => expect(beginAtOnce(ids[count])).toBe(true));
    expect(beginAtOnce("a twentieth is not counted yet")).toBe(false);
    await eventually(async () => expect(await redis.client.zcard(leases)).toBe(count + 1));
  }
  await sleep(100);
  expect(beginAtOnce("less than half is left")).toBe(false);
  for (const id of ids) one.release("key:a", id);
  await eventually(async () => expect(await redis.client.zcard(leases)).toBe(0));
});

test("a call that begins at once over the limit of all gateways makes the next one wait longer", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const [one, other] = [await openLimits(bed), await openLimits(bed)];
  const limits = { rpm: 20 };
  const ask = async (from: typeof one): Promise<number> => {
    const admission = await from.admit("key:a", limits, { id: callId(), holdMs });
    return admission.ok ? 0 : admission.retryAfterS;
  };
  expect(await ask(one)).toBe(0);
  for (let left = 19; left > 0; left--) expect(await ask(other)).toBe(0);
  expect(await ask(other)).toBeLessThanOrEqual(3);
  expect(one.admitAtOnce("key:a", limits, { id: callId(), holdMs })).toBe(true);
  expect(await ask(one)).toBeGreaterThan(3);
  expect(one.admitAtOnce("key:a", limits, { id: callId(), holdMs })).toBe(false);
});

test("a call that ends before it is counted leaves no place taken", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const redis = await bed.connect("command");
  const leases = createStoreKeys(bed.prefix).leases("key:a");
  const one = await openLimits(bed);
  const limits = { concurrent: 20 };
  const id = callId();
  expect((await one.admit("key:a", limits, { id, holdMs })).ok).toBe(true);
  one.release("key:a", id);
  const brief = callId();
  expect(one.admitAtOnce("key:a", limits, { id: brief, holdMs })).toBe(true);
  one.release("key:a", brief);
  await one.close();
  expect(await redis.client.zcard(leases)).toBe(0);
});

test("while Redis takes no writes nobody is admitted at once, and the limits hold locally", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const { client } = await bed.connect("command");
  const one = await openLimits(bed);
  const limits = { rpm: 100 };
  expect((await one.admit("key:a", limits, { id: callId(), holdMs })).ok).toBe(true);
  await client.config("SET", "maxmemory", "1");
  let admitted = 0;
  while (one.admitAtOnce("key:a", limits, { id: callId(), holdMs })) admitted += 1;
  expect(admitted).toBe(5);
  // Three times as long as calls wait to be counted.
  await sleep(60);
  expect(one.admitAtOnce("key:a", limits, { id: callId(), holdMs })).toBe(false);
  const others = Array.from({ length: 110 }, () => one.admit("key:a", limits, { id: callId(), holdMs }));
  expect((await Promise.all(others)).filter(({ ok }) => ok)).toHaveLength(100);
});

test("places that Redis refused to take back are given back later", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const connection = await bed.connect("command");
  const { client } = connection;
  const one = createKeyLimits({ redis: connection, prefix: bed.prefix });
  const limits = { concurrent: 2 };
  const id = callId();
  expect((await one.admit("key:a", limits, { id, holdMs })).ok).toBe(true);
  // On its own connection, so that it holds for the next question, which takes the place along, and for no more.
  const refusing = client.config("SET", "min-replicas-to-write", "1");
  one.release("key:a", id);
  const next = one.admit("key:a", limits, { id: callId(), holdMs });
  await setImmediate();
  await setImmediate();
  await Promise.all([refusing, client.config("SET", "min-replicas-to-write", "0"), next]);
  const leases = createStoreKeys(bed.prefix).leases("key:a");
  await eventually(async () => expect(await client.zcard(leases)).toBe(0));
});

test("the places of thousands of calls that end at once are given back", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const { client } = await bed.connect("command");
  const one = await openLimits(bed);
  const limits = { concurrent: 20_000 };
  const leases = createStoreKeys(bed.prefix).leases("key:a");
  const ids = Array.from({ length: 9000 }, callId);
  await Promise.all(ids.map((id) => one.admit("key:a", limits, { id, holdMs })));
  await eventually(async () => expect(await client.zcard(leases)).toBe(ids.length));
  for (const id of ids) one.release("key:a", id);
  expect((await one.admit("key:a", limits, { id: callId(), holdMs })).ok).toBe(true);
  await eventually(async () => expect(await client.zcard(leases)).toBe(1));
});
