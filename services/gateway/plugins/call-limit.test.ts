import { expect, test } from "vitest";
import { createCallLimit } from "./call-limit.ts";

const options = { most: 20_000, targetMs: 500 };

test("without a standing queue every call may come", () => {
  const limit = createCallLimit(options);
  for (const ms of [900, 3, 700]) limit.observe(ms);
  limit.adapt(1000);
  expect(limit.current).toBe(20_000);
});

test("while every call waits too long fewer may be open, down to a floor", () => {
  const limit = createCallLimit(options);
  limit.observe(600);
  limit.adapt(1000);
  expect(limit.current).toBe(850);
  for (let window = 0; window < 50; window += 1) {
    limit.observe(600);
    limit.adapt(limit.current);
  }
  expect(limit.current).toBe(64);
});

test("when calls get through in time again the limit goes up, and away", () => {
  const limit = createCallLimit(options);
  limit.observe(600);
  limit.adapt(100);
  expect(limit.current).toBe(85);
  limit.observe(400);
  limit.adapt(85);
  expect(limit.current).toBe(94);
  for (let window = 0; window < 60; window += 1) {
    limit.observe(1);
    limit.adapt(10);
  }
  expect(limit.current).toBe(20_000);
});

test("some windows without a call tell nothing; after a second what was known is forgotten, step by step", () => {
  const limit = createCallLimit(options);
  limit.observe(600);
  limit.adapt(100);
  for (let window = 0; window < 4; window += 1) limit.adapt(85);
  expect(limit.current).toBe(85);
  limit.adapt(85);
  expect(limit.current).toBe(94);
  for (let window = 0; window < 60; window += 1) limit.adapt(85);
  expect(limit.current).toBe(20_000);
  limit.observe(600);
  limit.adapt(100);
  limit.adapt(85);
  expect(limit.current).toBe(85);
});
