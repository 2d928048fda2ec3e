import { expect, test } from "vitest";
import { createChangeSignal } from "./change-signal.ts";

test("a wait ends at once, or with the change that makes its condition true", async () => {
  const change = createChangeSignal();
  let value: number | undefined = 1;
  expect(await change.wait(() => value, {})).toBe(1);
  value = undefined;
  const waited = change.wait(() => value, {});
  change.changed();
  value = 2;
  change.changed();
  value = 3;
  expect(await waited).toBe(2);
});

test("a wait finds nothing when its time is up", async () => {
  const change = createChangeSignal();
  expect(await change.wait(() => undefined, { until: Date.now() + 20 })).toBeUndefined();
  expect(await change.wait(() => undefined, { until: Date.now() - 1 })).toBeUndefined();
});

test("a wait rejects as cancelled when its signal aborts, before or while it waits", async () => {
  const change = createChangeSignal();
  const caller = new AbortController();
  const waited = change.wait(() => undefined, { signal: caller.signal });
  caller.abort();
  await expect(waited).rejects.toMatchObject({ code: "cancelled" });
  await expect(change.wait(() => 1, { signal: caller.signal })).rejects.toMatchObject({ code: "cancelled" });
});
