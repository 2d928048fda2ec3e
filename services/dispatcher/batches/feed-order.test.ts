import { expect, test } from "vitest";
import { createFeedOrder } from "./feed-order.ts";

test("who was served least of late comes first", () => {
  const order = createFeedOrder();
  order.charge("a", 10, 0);
  order.charge("b", 5, 0);
  expect(order.sort(["a", "b", "c"], 0)).toEqual(["c", "b", "a"]);
});

test("two keys that always want more are served alike, and a newcomer first", () => {
  const order = createFeedOrder();
  const served: Record<string, number> = { a: 0, b: 0, c: 0 };
  const serve = (keys: string[], now: number): void => {
    const [first = ""] = order.sort(keys, now);
    served[first] = (served[first] ?? 0) + 1;
    order.charge(first, 8, now);
  };
  for (let turn = 0; turn < 100; turn++) serve(["a", "b"], turn);
  expect(served).toMatchObject({ a: 50, b: 50 });
  for (let turn = 100; turn < 120; turn++) serve(["a", "b", "c"], turn);
  expect(served["c"]).toBe(20);
});

test("what was served is forgotten, so that nobody starves behind ever new keys", () => {
  const order = createFeedOrder();
  order.charge("old", 1000, 0);
  order.charge("new", 10, 600_000);
  expect(order.sort(["new", "old"], 600_000)).toEqual(["old", "new"]);
});
