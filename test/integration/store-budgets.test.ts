import { expect, inject, test } from "vitest";
import {
  budgetPeriod,
  createBudgetStore,
  nextBudgetPeriod,
  type BudgetStore,
  type Hold,
} from "#shared/store/budget-store.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, type StoreBed } from "../support/store-bed.ts";

async function openBudgets(bed: StoreBed): Promise<BudgetStore> {
  const { prefix, logger } = bed;
  return bed.own(createBudgetStore({ redis: await bed.connect("command"), prefix, logger }));
}

function hold(amount: number, more: Partial<Hold> = {}): Hold {
  return { callId: callId(), keyId: "key:a", period: "2026-11-22", amount, promptAmount: 1, ...more };
}

test("calls are let in until what is spent and held is the budget", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const budgets = await openBudgets(bed);
  const [first, second] = [hold(60), hold(60)];
  expect(await budgets.reserve(first, 100, 60_000)).toEqual({ ok: true, spent: 0, held: 0 });
  expect(await budgets.reserve(second, 100, 60_000)).toMatchObject({ ok: true, held: 60 });
  expect(await budgets.reserve(hold(1), 100, 60_000)).toEqual({ ok: false, spent: 0, held: 120 });
  budgets.settle(first, 10);
  await eventually(async () => expect(await budgets.read("key:a", "2026-11-22")).toEqual({ spent: 10, held: 60 }));
  expect(await budgets.reserve(hold(1), 100, 60_000)).toMatchObject({ ok: true });
  expect(await budgets.reserve(hold(1, { keyId: "key:b" }), 100, 60_000)).toEqual({ ok: true, spent: 0, held: 0 });
  expect(await budgets.reserve(hold(1, { period: "2026-11-23" }), 100, 60_000)).toMatchObject({ spent: 0, held: 0 });
});

test("a hundred calls at once overspend a budget by less than one of them", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const stores = [await openBudgets(bed), await openBudgets(bed)];
  const holds = Array.from({ length: 100 }, () => hold(30));
  const replies = await Promise.all(holds.map((one, index) => stores[index % 2]!.reserve(one, 100, 60_000)));
  const admitted = holds.filter((_, index) => replies[index]?.ok);
  expect(admitted).toHaveLength(4);
  for (const one of admitted) stores[0]!.settle(one, 30);
  await eventually(async () => expect(await stores[0]!.read("key:a", "2026-11-22")).toEqual({ spent: 120, held: 0 }));
  expect((await stores[1]!.reserve(hold(1), 100, 60_000)).ok).toBe(false);
});

test("a call is reserved for and settled once, however often that is said", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const budgets = await openBudgets(bed);
  const one = hold(50);
  await budgets.reserve(one, 100, 60_000);
  expect(await budgets.reserve(one, 100, 60_000)).toMatchObject({ ok: true, held: 50 });
  for (let again = 0; again < 3; again++) budgets.settle(one, 20);
  budgets.settle(hold(99), 99);
  await eventually(async () => expect(await budgets.read("key:a", "2026-11-22")).toEqual({ spent: 20, held: 0 }));
});

test("what costs nothing, a free model's call, is reserved for and settled like any other", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const budgets = await openBudgets(bed);
  const [free, lost, one] = [hold(0), hold(0), hold(50)];
  for (const each of [free, one]) await budgets.reserve(each, 100, 60_000);
  await budgets.reserve(lost, 100, 0);
  for (const each of [free, one]) budgets.settle(each, 20);
  await eventually(async () => expect(await budgets.read("key:a", "2026-11-22")).toEqual({ spent: 40, held: 0 }));
  expect(await budgets.reserve(hold(1), 100, 60_000)).toMatchObject({ ok: true, spent: 40, held: 0 });
});

test("what is released is held no more when that is done, and costs nothing", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const budgets = await openBudgets(bed);
  const holds = Array.from({ length: 100 }, () => hold(1));
  await Promise.all(holds.map((each) => budgets.reserve(each, 1000, 60_000)));
  await budgets.release(holds.slice(1));
  expect(await budgets.read("key:a", "2026-11-22")).toEqual({ spent: 0, held: 1 });
});

test("what a lost process held is free again after its time, unless it was given more", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const budgets = await openBudgets(bed);
  const [lost, job] = [hold(60), hold(60)];
  await budgets.reserve(lost, 100, 1);
  await budgets.reserve(job, 1000, 1);
  await budgets.extend(job, 60_000);
  await eventually(async () => {
    await budgets.reserve(hold(0), 100, 60_000);
    expect(await budgets.read("key:a", "2026-11-22")).toEqual({ spent: 0, held: 60 });
  });
});

test("while Redis is away nothing is let in, and what ends is settled when it is back", async () => {
  await using server = await startRedis({ appendOnly: true });
  await using bed = createStoreBed(server.url);
  const budgets = await openBudgets(bed);
  const one = hold(60);
  await budgets.reserve(one, 100, 600_000);
  await server.kill();
  await expect(budgets.reserve(hold(1), 100, 60_000)).rejects.toThrow();
  budgets.settle(one, 25);
  await server.start();
  await eventually(async () => expect(await budgets.read("key:a", "2026-11-22")).toEqual({ spent: 25, held: 0 }));
});

test("days and months are those of UTC", () => {
  const late = Date.parse("2026-12-31T23:59:59.999Z");
  expect([budgetPeriod("day", late), budgetPeriod("month", late)]).toEqual(["2026-12-31", "2026-12"]);
  expect(nextBudgetPeriod("day", late)).toBe(late + 1);
  expect(nextBudgetPeriod("month", late)).toBe(late + 1);
  expect(nextBudgetPeriod("month", Date.parse("2026-11-22T01:00:00Z"))).toBe(Date.parse("2026-12-01T00:00:00Z"));
});
