import { expect, inject, test } from "vitest";
import type { Bill } from "#shared/messages/cost.ts";
import { createUsageStore, type UsageStore, type UsageStoreOptions } from "#shared/store/usage-store.ts";
import type { UsedCall } from "#shared/store/usage-tally.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { createStoreBed, type StoreBed } from "../support/store-bed.ts";

const day = "2026-11-22";
const noon = Date.parse(`${day}T12:00:00Z`);

const bill: Bill = {
  tokens: { input: 10, output: 20, cacheWrite5m: 1, cacheWrite1h: 2, cacheRead: 3, webSearches: 4 },
  cost: { total: 1_000_000_007, input: 0, output: 0, cacheCreation: 0, cacheRead: 0, serverTools: 0 },
};

function used(more: Partial<UsedCall> = {}): UsedCall {
  return { keyId: "key:a", model: "m", provider: "p", endedAt: noon, isFailed: false, bill, ...more };
}

async function openUsage(bed: StoreBed, more: Partial<UsageStoreOptions> = {}): Promise<UsageStore> {
  const { prefix, logger } = bed;
  const redis = more.redis ?? (await bed.connect("command"));
  return createUsageStore({ prefix, keepMs: 60_000, logger, ...more, redis });
}

const once = {
  calls: 1,
  failed: 0,
  unpriced: 0,
  input: 10,
  output: 20,
  write5m: 1,
  write1h: 2,
  read: 3,
  searches: 4,
  cost: 1_000_000_007,
};

test("calls are added up by key, day, model and provider, whichever process counts them", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const [one, other] = [await openUsage(bed), await openUsage(bed)];
  one.add(used());
  one.add(used());
  other.add(used({ provider: "q", bill: undefined, isFailed: true }));
  other.add(used({ endedAt: noon + 43_200_000 }));
  one.add(used({ keyId: "key:b", bill: { ...bill, cost: { unknown: "no price" } } }));
  await one.close();
  await other.close();
  const nothing = { ...once, input: 0, output: 0, write5m: 0, write1h: 0, read: 0, searches: 0, cost: 0 };
  const twice = Object.fromEntries(Object.entries(once).map(([name, value]) => [name, 2 * value]));
  expect((await one.read(day, ["key:a"])).toSorted((a, b) => (a.provider < b.provider ? -1 : 1))).toEqual([
    { day, keyId: "key:a", model: "m", provider: "p", counters: twice },
    { day, keyId: "key:a", model: "m", provider: "q", counters: { ...nothing, failed: 1 } },
  ]);
  expect(await one.read("2026-11-23", "all")).toEqual([
    { day: "2026-11-23", keyId: "key:a", model: "m", provider: "p", counters: once },
  ]);
  const everybody = await one.read(day, "all");
  expect(everybody.map(({ keyId }) => keyId).toSorted()).toEqual(["key:a", "key:a", "key:b"]);
  expect(everybody.find(({ keyId }) => keyId === "key:b")?.counters).toMatchObject({ cost: 0, unpriced: 1, input: 10 });
  expect(await one.read(day, ["key:c"])).toEqual([]);
});

test("everything has a time to live", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const usage = await openUsage(bed);
  usage.add(used());
  await usage.close();
  const { client } = await bed.connect("command");
  const keys = await client.keys(`{${bed.prefix}}:*`);
  expect(keys).toHaveLength(3);
  for (const key of keys) expect(await client.pttl(key)).toBeGreaterThan(0);
});

test("what is counted while Redis is away is written, once, when it is back", async () => {
  await using server = await startRedis({ appendOnly: true });
  await using bed = createStoreBed(server.url);
  const redis = await bed.connect("command");
  const usage = bed.own(await openUsage(bed, { redis }));
  usage.add(used());
  await eventually(async () => expect(await usage.read(day, "all")).toHaveLength(1));
  // Standing still, Redis takes a batch whose sender gives it up: it is sent again all the same.
  server.freeze();
  for (let count = 0; count < 5; count++) usage.add(used());
  await eventually(() => expect(redis.isReady).toBe(false));
  server.thaw();
  await eventually(async () => expect((await usage.read(day, "all"))[0]?.counters.calls).toBe(6));
  await server.kill();
  usage.add(used());
  await server.start();
  await eventually(async () => expect((await usage.read(day, "all"))[0]?.counters.calls).toBe(7));
  expect((await usage.read(day, "all"))[0]?.counters.cost).toBe(7 * once.cost);
  expect(usage.dropped).toBe(0);
});

test("what waits is bounded, and what is beyond is told", async () => {
  await using server = await startRedis();
  await using bed = createStoreBed(server.url);
  const usage = await openUsage(bed, { mostWaiting: 3 });
  await server.kill();
  for (let count = 0; count < 10; count++) usage.add(used({ model: `m${count}` }));
  for (let count = 0; count < 10; count++) usage.add(used({ model: "m1" }));
  expect(usage.dropped).toBe(7);
});

test("numbers that no provider should say do no harm", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const usage = await openUsage(bed);
  const odd = { ...bill, tokens: { ...bill.tokens, input: 1.5, output: 1e300 } };
  usage.add(used({ bill: odd }));
  usage.add(used({ model: "n" }));
  await usage.close();
  const rows = await usage.read(day, "all");
  expect(rows.find(({ model }) => model === "m")?.counters).toMatchObject({ calls: 1, input: 2 });
  expect(rows.find(({ model }) => model === "n")?.counters).toEqual(once);
});
