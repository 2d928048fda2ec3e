import { beforeEach, expect, test } from "vitest";
import { createLocalLimits } from "./local-limits.ts";

let now = 1_000_000;
beforeEach(() => {
  now = 1_000_000;
});
const limitsAt = () => createLocalLimits(() => now);

test("a minute's calls may come at once, the next one waits for its share of the minute", () => {
  const limits = limitsAt();
  const admit = (id: string) => limits.admit("k", { rpm: 3 }, { id, holdMs: 1000 });
  expect([admit("1"), admit("2"), admit("3")]).toEqual([0, 0, 0]);
  expect(admit("4")).toBe(20_000);
  now += 20_000;
  expect(admit("4")).toBe(0);
  expect(admit("5")).toBe(20_000);
});

test("as many calls at once as are allowed, until one is released or its time is over", () => {
  const limits = limitsAt();
  const admit = (id: string) => limits.admit("k", { concurrent: 2 }, { id, holdMs: 5000 });
  expect([admit("1"), admit("2")]).toEqual([0, 0]);
  expect(admit("3")).toBeGreaterThan(0);
  limits.release("k", "1");
  expect(admit("3")).toBe(0);
  now += 5001;
  expect([admit("4"), admit("5")]).toEqual([0, 0]);
});

test("a call refused for one limit has used up nothing of the other", () => {
  const limits = limitsAt();
  const admit = (id: string) => limits.admit("k", { rpm: 2, concurrent: 1 }, { id, holdMs: 5000 });
  expect(admit("1")).toBe(0);
  expect(admit("2")).toBeGreaterThan(0);
  limits.release("k", "1");
  expect(admit("2")).toBe(0);
});

test("keys do not share", () => {
  const limits = limitsAt();
  expect(limits.admit("a", { rpm: 1 }, { id: "1", holdMs: 1 })).toBe(0);
  expect(limits.admit("b", { rpm: 1 }, { id: "2", holdMs: 1 })).toBe(0);
});
