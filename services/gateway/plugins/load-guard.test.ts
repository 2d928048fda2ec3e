import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { metrics } from "#shared/telemetry/metrics.ts";
import { createLoadGuard, type LoadGuard } from "./load-guard.ts";

const sampleEveryMs = 500;

const overloaded = { code: "overloaded", status: 529, retryAfterS: 1 };

function openGuard(maxOpenCalls = 10): LoadGuard {
  const guard = createLoadGuard({ maxOpenCalls, maxLagMs: 50, sampleEveryMs });
  onTestFinished(() => guard.close());
  return guard;
}

async function shedFor(reason: string): Promise<number> {
  const { values } = await metrics.shedTotal.get();
  return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
}

/** Every sample of some time is a late one. */
async function beBusy(): Promise<void> {
  const endsAt = Date.now() + 5 * sampleEveryMs;
  while (Date.now() < endsAt) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
    await sleep(30);
  }
}

test("more calls than may be open are refused, and one that leaves makes room", async () => {
  const guard = openGuard(2);
  const before = await shedFor("waiting");
  guard.enter();
  guard.enter();
  expect(() => guard.enter()).toThrow(expect.objectContaining(overloaded));
  expect(await shedFor("waiting")).toBe(before + 1);
  guard.leave();
  guard.enter();
  expect(guard.openCalls).toBe(2);
});

test("calls are shed when the event loop is late again and again", async () => {
  const guard = openGuard();
  const before = await shedFor("event_loop");
  guard.enter();
  await beBusy();
  expect(() => guard.enter()).toThrow(expect.objectContaining(overloaded));
  expect(await shedFor("event_loop")).toBe(before + 1);
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
