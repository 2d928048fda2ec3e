import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createTurnBatch } from "./turn-batch.ts";
import { within } from "./within.ts";

test("what one turn brings is one batch, microtasks included", async () => {
  const batches: number[][] = [];
  const batch = createTurnBatch<number>((items) => batches.push(items));
  batch.add(1);
  await Promise.resolve();
  batch.add(2);
  expect(batches).toEqual([]);
  await nextTurn();
  batch.add(3);
  await nextTurn();
  expect(batches).toEqual([[1, 2], [3]]);
});

test("a batch is cut where it would grow too large", async () => {
  const batches: number[][] = [];
  const batch = createTurnBatch<number>((items) => batches.push(items), 2);
  for (const item of [1, 2, 3, 4, 5]) batch.add(item);
  await nextTurn();
  expect(batches).toEqual([[1, 2], [3, 4], [5]]);
});

test("what takes too long or fails is undefined", async () => {
  expect(await within(1000, Promise.resolve("in time"))).toBe("in time");
  expect(await within(5, new Promise(() => undefined))).toBeUndefined();
  expect(await within(1000, Promise.reject(new Error("no")))).toBeUndefined();
});
