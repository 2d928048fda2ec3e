import { expect, test } from "vitest";
import { isSdkRetry, readIdempotencyKey } from "./idempotency-key.ts";

test("a key is read as it is, and an empty one is none", () => {
  expect(readIdempotencyKey({ "idempotency-key": "order 17" })).toBe("order 17");
  expect(readIdempotencyKey({ "idempotency-key": " " })).toBeUndefined();
  expect(readIdempotencyKey({})).toBeUndefined();
});

test("a key of 10 KB is refused, naming the header", () => {
  expect(() => readIdempotencyKey({ "idempotency-key": "k".repeat(10_240) })).toThrow(/^idempotency-key: /);
  expect(readIdempotencyKey({ "idempotency-key": "k".repeat(255) })).toHaveLength(255);
});

test.each([
  ["0", false],
  ["1", true],
  ["3", true],
  ["", false],
  ["many", false],
])("x-stainless-retry-count %j is a retry: %s", (count, expected) => {
  expect(isSdkRetry({ "x-stainless-retry-count": count })).toBe(expected);
});
