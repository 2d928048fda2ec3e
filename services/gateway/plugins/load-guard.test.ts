import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { createLoadGuard, type LoadGuard } from "./load-guard.ts";

const sampleEveryMs = 500;

function openGuard(): LoadGuard {
  const guard = createLoadGuard({ maxOpenCalls: 10, maxLagMs: 50, sampleEveryMs });
  onTestFinished(() => guard.close());
  return guard;
}

/** Every sample of some time is a late one. */
async function beBusy(): Promise<void> {
  const endsAt = Date.now() + 5 * sampleEveryMs;
  while (Date.now() < endsAt) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
    await sleep(30);
  }
}

test("calls are shed when the event loop is late again and again", async () => {
  const guard = openGuard();
  guard.enter();
  await beBusy();
  expect(() => guard.enter()).toThrow("overloaded");
  guard.leave();
  await expect
    .poll(() => {
      guard.enter();
      guard.leave();
      return true;
    })
    .toBe(true);
});

test("what the process did before its first call is no reason to shed it", async () => {
  const guard = openGuard();
  await beBusy();
  guard.enter();
  expect(guard.openCalls).toBe(1);
});
