import { expect, test } from "vitest";
import { createLatest } from "./latest.ts";

test("an id is known for its time, and not for more than twice of it", () => {
  let now = 1000;
  const latest = createLatest(100, 10, () => now);
  latest.add("one");
  now += 99;
  expect(latest.has("one")).toBe(true);
  now += 100;
  expect(latest.has("one")).toBe(true);
  now += 100;
  expect([latest.has("one"), latest.has("two")]).toEqual([false, false]);
});

test("of very many the latest are known", () => {
  const latest = createLatest(100, 10, () => 1000);
  for (let index = 0; index < 100; index++) latest.add(String(index));
  const known = Array.from({ length: 100 }, (_, index) => String(index)).filter((id) => latest.has(id));
  expect(known.slice(-10)).toEqual(["90", "91", "92", "93", "94", "95", "96", "97", "98", "99"]);
  expect(known.length).toBeLessThanOrEqual(20);
});
