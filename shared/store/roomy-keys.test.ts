import { expect, test } from "vitest";
import { createRoomyKeys } from "./roomy-keys.ts";

test("what is not counted yet is remembered while a key has no room for a moment", () => {
  const keys = createRoomyKeys();
  const limits = { rpm: 100 };
  keys.learn("key:a", true);
  const counted = Array.from({ length: 5 }, () => keys.take("key:a", limits));
  keys.learn("key:a", false);
  expect(keys.take("key:a", limits)).toBeUndefined();
  keys.learn("key:a", true);
  expect(keys.take("key:a", limits)).toBeUndefined();
  counted[0]?.();
  expect(keys.take("key:a", limits)).toBeTypeOf("function");
  expect(keys.take("key:a", limits)).toBeUndefined();
});

test("the smaller limit counts, and below twenty nobody begins at once", () => {
  const keys = createRoomyKeys();
  keys.learn("key:a", true);
  expect(keys.take("key:a", { rpm: 1000, concurrent: 19 })).toBeUndefined();
  expect(keys.take("key:a", { rpm: 19 })).toBeUndefined();
  expect(keys.take("key:a", { rpm: 1000, concurrent: 20 })).toBeTypeOf("function");
  expect(keys.take("key:b", { rpm: 1000 })).toBeUndefined();
});
