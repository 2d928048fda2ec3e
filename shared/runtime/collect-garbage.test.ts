import { expect, test } from "vitest";
import { collectGarbage } from "./collect-garbage.ts";

test("what nobody holds is gone at once, memory outside the heap too", async () => {
  const before = process.memoryUsage().arrayBuffers;
  let made = 0;
  (() => {
    for (let at = 0; at < 40; at += 1) made += Buffer.alloc(1_000_000).length;
  })();
  collectGarbage();
  await expect.poll(() => process.memoryUsage().arrayBuffers).toBeLessThan(before + made / 4);
});
