import { expect, test } from "vitest";
import { newCallId } from "./call-id.ts";

test("ids have the prefix and 24 characters", () => {
  expect(newCallId()).toMatch(/^call_[0-9a-hjkmnp-tv-z]{24}$/);
});

test("ids never repeat, over more than one draw of random bytes", () => {
  const ids = Array.from({ length: 2000 }, newCallId);
  expect(new Set(ids).size).toBe(2000);
});
