import { Value } from "typebox/value";
import { expect, test } from "vitest";
import { duration, size } from "./fields.ts";

test.each([
  ["500ms", 500],
  ["240s", 240_000],
  ["10m", 600_000],
  ["1.5h", 5_400_000],
  ["2d", 172_800_000],
  [45, 45_000],
  [0.25, 250],
  [0, 0],
])("the time %s is %i ms", (written, ms) => {
  const field = duration("", 1);
  expect(Value.Check(field.schema, written)).toBe(true);
  expect(field.read(written)).toBe(ms);
});

test.each(["", "10", "ten", "-5s", "5 s", "5S", -1, null])("%o is no time", (written) => {
  expect(Value.Check(duration("", 1).schema, written)).toBe(false);
});

test.each([
  ["32MiB", 33_554_432],
  ["512KiB", 524_288],
  ["1GiB", 1_073_741_824],
  ["7B", 7],
  [1000, 1_000],
])("the size %s is %i bytes", (written, bytes) => {
  const field = size("", 1);
  expect(Value.Check(field.schema, written)).toBe(true);
  expect(field.read(written)).toBe(bytes);
});

test.each(["32MB", "1.5MiB", "", 0, -1])("%o is no size", (written) => {
  expect(Value.Check(size("", 1).schema, written)).toBe(false);
});
