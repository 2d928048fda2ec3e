import { afterEach, expect, test } from "vitest";
import { metrics } from "#shared/telemetry/metrics.ts";
import { createLoadGuard, type LoadGuard, type LoadGuardOptions } from "./load-guard.ts";

const guards: LoadGuard[] = [];
afterEach(() => guards.splice(0).forEach((guard) => guard.close()));

function open(options: LoadGuardOptions): LoadGuard {
  const guard = createLoadGuard(options);
  guards.push(guard);
  return guard;
}

async function shedFor(reason: string): Promise<number> {
  const { values } = await metrics.shedTotal.get();
  return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
}

const overloaded = { code: "overloaded", status: 529, retryAfterS: 1 };

test("more calls than may be open are refused, and one that leaves makes room", async () => {
  const guard = open({ maxOpenCalls: 2 });
  const before = await shedFor("waiting");
  guard.enter();
  guard.enter();
  expect(() => guard.enter()).toThrow(expect.objectContaining(overloaded));
  expect(await shedFor("waiting")).toBe(before + 1);
  guard.leave();
  guard.enter();
  expect(guard.openCalls).toBe(2);
});

test("calls are refused while the event loop is late, and not for one late second", { timeout: 15_000 }, async () => {
  // Nothing is as early as this: every second counts as late.
  const guard = open({ maxOpenCalls: 1000, maxLagMs: -1000 });
  const patient = open({ maxOpenCalls: 1000, maxLagMs: 60_000 });
  const before = await shedFor("event_loop");
  guard.enter();
  const startedAt = performance.now();
  await expect
    .poll(
      () => {
        try {
          guard.enter();
          return "entered";
        } catch (reason) {
          return reason;
        }
      },
      { timeout: 10_000 },
    )
    .toMatchObject(overloaded);
  expect(performance.now() - startedAt).toBeGreaterThan(1500);
  expect(await shedFor("event_loop")).toBe(before + 1);
  patient.enter();
});
