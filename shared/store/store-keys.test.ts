import { expect, test } from "vitest";
import { createStoreKeys, scopedId } from "./store-keys.ts";

const keys = createStoreKeys("sluice");

test("every key lies in the slot of one hash tag", () => {
  const all = [
    keys.outcome("c"),
    keys.cancelMark("c"),
    keys.body("c"),
    keys.job("interactive", "c"),
    keys.rate("k"),
    keys.leases("k"),
    keys.affinity("k", "h"),
    keys.bound("k", "i"),
    keys.traces(1),
    keys.events("k", "c"),
    keys.eventsLease("k", "c"),
    keys.probe("t"),
    keys.targets,
  ];
  expect(all.every((key) => key.startsWith("{sluice}:"))).toBe(true);
  expect(new Set(all).size).toBe(all.length);
});

test("no choice of an id reaches another identity's state", () => {
  expect(keys.bound("oidc:ci:a", "b:msg_1")).not.toBe(keys.bound("oidc:ci:a:b", "msg_1"));
  expect(scopedId("key:a", "b:c")).not.toBe(scopedId("key:a:b", "c"));
});

test("an id of any length makes a short key", () => {
  expect(keys.bound("key:a", "x".repeat(100_000)).length).toBeLessThan(200);
});
