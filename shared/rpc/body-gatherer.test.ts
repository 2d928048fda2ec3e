import { expect, test } from "vitest";
import { BodyGatherer } from "./body-gatherer.ts";

test("pieces become one body", () => {
  const gatherer = new BodyGatherer(5);
  gatherer.push(Buffer.from("ab"));
  expect(gatherer.complete).toBe(false);
  gatherer.push(Buffer.from("cde"));
  expect([gatherer.complete, gatherer.bytes.toString()]).toEqual([true, "abcde"]);
});

test("an empty body is complete at once", () => {
  expect(new BodyGatherer(0).complete).toBe(true);
});

test("a small body is copied out of its message, one that fills most of it is not", () => {
  const message = Buffer.from(new ArrayBuffer(100_000));
  const small = new BodyGatherer(10);
  small.push(message.subarray(0, 10));
  message.fill(1);
  expect(small.bytes.equals(Buffer.alloc(10))).toBe(true);
  const large = new BodyGatherer(90_000);
  large.push(message.subarray(0, 90_000));
  expect(large.bytes.buffer).toBe(message.buffer);
});

test("more bytes than announced are refused", () => {
  const gatherer = new BodyGatherer(3);
  expect(() => gatherer.push(Buffer.from("abcd"))).toThrow(RangeError);
});
