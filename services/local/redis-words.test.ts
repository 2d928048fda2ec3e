import { expect, test } from "vitest";
import { redisWords } from "./redis-words.ts";

test.each([
  "6900:C 21 Nov 2026 23:08:03.395 # Reading config from stdin",
  "6900:C 21 Nov 2026 23:08:03.399 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo",
  "6900:C 21 Nov 2026 23:08:03.399 # Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid=6900, just started",
  "6900:M 21 Nov 2026 23:08:03.400 # WARNING Memory overcommit must be enabled! Without it, a background save may fail",
  "6900:signal-handler (1795302491) Received SIGTERM scheduling shutdown...",
  "6900:M 21 Nov 2026 23:08:11.348 # Redis is now ready to exit, bye bye...",
  "",
])("%j is routine", (line) => {
  expect(redisWords(line)).toBeUndefined();
});

test.each([
  ["12:M 21 Nov 2026 23:08:03.400 # Can't handle RDB format version 12", "Can't handle RDB format version 12"],
  ["*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***", "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***"],
])("%j is shown", (line, words) => {
  expect(redisWords(line)).toBe(words);
});
