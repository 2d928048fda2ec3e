import { expect, test } from "vitest";
import { memoryReasons, parseMemory } from "./redis-health.ts";

const info = (used: number, limit: number, policy: string) =>
  `# Memory\r\nused_memory:${used}\r\nused_memory_rss:999\r\nmaxmemory:${limit}\r\nmaxmemory_human:x\r\nmaxmemory_policy:${policy}\r\n`;

test("memory is counted against maxmemory, and not at all without one", () => {
  expect(parseMemory(info(50, 100, "noeviction"))).toEqual({ policy: "noeviction", used: 0.5 });
  expect(parseMemory(info(50, 0, "noeviction")).used).toBe(0);
});

test("a Redis that may throw keys away is named as a fault, and so is one that is nearly full", () => {
  expect(memoryReasons(parseMemory(info(90, 100, "noeviction")))).toEqual([]);
  expect(memoryReasons(parseMemory(info(91, 100, "allkeys-lru")))).toEqual([
    "redis: maxmemory-policy is allkeys-lru, must be noeviction",
    "redis: 91 % of maxmemory in use",
  ]);
});
