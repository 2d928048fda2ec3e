import { expect, test } from "vitest";
import { parkUntil } from "./park.ts";

const now = 1_000_000;

test("a job is parked until the reset and a tenth of the wait more, at most a second", () => {
  expect(parkUntil({ blockedUntil: now + 4000, waitUntil: now + 60_000, now }, () => 0)).toBe(now + 4000);
  expect(parkUntil({ blockedUntil: now + 4000, waitUntil: now + 60_000, now }, () => 1)).toBe(now + 4400);
  expect(parkUntil({ blockedUntil: now + 40_000, waitUntil: now + 60_000, now }, () => 1)).toBe(now + 41_000);
});

test("jitter never takes a job beyond the time it may wait", () => {
  expect(parkUntil({ blockedUntil: now + 4000, waitUntil: now + 4100, now }, () => 1)).toBe(now + 4100);
});

test("a reset beyond the time the caller can wait is not waited for", () => {
  expect(parkUntil({ blockedUntil: now + 4001, waitUntil: now + 4000, now })).toBeUndefined();
  expect(parkUntil({ blockedUntil: now - 10, waitUntil: now, now })).toBeUndefined();
});

test("a reset that has passed by this clock still costs a moment", () => {
  expect(parkUntil({ blockedUntil: now - 10, waitUntil: now + 1000, now }, () => 0)).toBe(now + 50);
});
