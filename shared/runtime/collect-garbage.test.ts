import { getHeapSpaceStatistics } from "node:v8";
import { expect, test } from "vitest";
import { collectGarbage, returnMemory } from "./collect-garbage.ts";

test("what nobody holds is gone at once, memory outside the heap too", async () => {
  const before = process.memoryUsage().arrayBuffers;
  let made = 0;
  (() => {
    for (let at = 0; at < 40; at += 1) made += Buffer.alloc(1_000_000).length;
  })();
  collectGarbage();
  await expect.poll(() => process.memoryUsage().arrayBuffers).toBeLessThan(before + made / 4);
});

test("the young generation that a start has grown is returned", () => {
  const kept: object[] = [];
  for (let at = 0; at < 1_000_000; at += 1) kept.push({ at });
  const grown = youngBytes();
  kept.length = 0;
  returnMemory();
  expect(youngBytes()).toBeLessThan(grown / 4);
});

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.physical_space_size ?? 0;
}
