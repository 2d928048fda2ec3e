import { expect, test } from "vitest";
import { readPreference } from "./preference.ts";

test.each([
  ["respond-async", 0, "respond-async"],
  ["Respond-Async", 0, "respond-async"],
  ["wait=20", 20_000, "wait=20"],
  ['wait="20"', 20_000, "wait=20"],
  ["respond-async, wait=10", 10_000, "respond-async, wait=10"],
  ["return=minimal, respond-async; foo=bar", 0, "respond-async"],
  ["wait=100000", 200_000, "wait=200"],
])("%j waits %d ms", (prefer, waitMs, applied) => {
  expect(readPreference({ prefer })).toEqual({ waitMs, applied });
});

test.each([undefined, "", "return=minimal", "wait", "wait=soon", "wait=-1", "xrespond-async"])(
  "%j asks for nothing of it",
  (prefer) => {
    expect(readPreference(prefer === undefined ? {} : { prefer })).toBeUndefined();
  },
);
