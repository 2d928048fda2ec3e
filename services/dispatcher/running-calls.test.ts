import { expect, test } from "vitest";
import { createRunningCalls, overdueMs } from "./running-calls.ts";

test("a call is cancelled by its id, and only that one", () => {
  const calls = createRunningCalls();
  const one = calls.open("call_1", 5000);
  const two = calls.open("call_2", 5000);
  expect(calls.cancel("call_1")).toBe(true);
  expect(one.signal.reason).toMatchObject({ code: "cancelled" });
  expect(two.signal.aborted).toBe(false);
  expect(calls.cancel("call_3")).toBe(false);
});

test("a call whose cancel comes first is aborted as soon as it is in hand", () => {
  const calls = createRunningCalls();
  expect(calls.cancel("call_1")).toBe(false);
  expect(calls.open("call_1", 5000).signal.reason).toMatchObject({ code: "cancelled" });
  expect(calls.open("call_2", 5000).signal.aborted).toBe(false);
});

test("a call that is out of hand cannot be cancelled any more", () => {
  const calls = createRunningCalls();
  const call = calls.open("call_1", 5000);
  call.close();
  expect(calls.cancel("call_1")).toBe(false);
  expect(call.signal.aborted).toBe(false);
  expect(calls.size).toBe(0);
});

test("of two deliveries of one call the later is cancelled, and closing the earlier changes nothing", () => {
  const calls = createRunningCalls();
  const earlier = calls.open("call_1", 5000);
  const later = calls.open("call_1", 5000);
  expect(calls.size).toBe(2);
  earlier.close();
  expect(calls.cancel("call_1")).toBe(true);
  expect(later.signal.aborted).toBe(true);
});

test("an overdue call is ended a moment after its deadline, not at it", async () => {
  const calls = createRunningCalls();
  const call = calls.open("call_1", 5000);
  const never = (): Promise<undefined> => Promise.resolve(undefined);
  calls.endOverdue(5000 + overdueMs, never);
  await Promise.resolve();
  expect(call.signal.aborted).toBe(false);
  calls.endOverdue(5001 + overdueMs, never);
  await Promise.resolve();
  expect(call.signal.reason).toMatchObject({ code: "timed_out", shouldRetry: false });
});

test("an overdue call goes on when somebody who joined it has more time", async () => {
  const calls = createRunningCalls();
  const call = calls.open("call_1", 5000);
  const later = (): Promise<number> => Promise.resolve(9000);
  calls.endOverdue(5001 + overdueMs, later);
  await Promise.resolve();
  calls.endOverdue(9000 + overdueMs, later);
  await Promise.resolve();
  expect(call.signal.aborted).toBe(false);
  calls.endOverdue(9001 + overdueMs, later);
  await Promise.resolve();
  expect(call.signal.aborted).toBe(true);
});

test("an overdue call is ended when nobody can be asked", async () => {
  const calls = createRunningCalls();
  const call = calls.open("call_1", 5000);
  calls.endOverdue(5001 + overdueMs, () => Promise.reject(new Error("away")));
  await Promise.resolve();
  expect(call.signal.aborted).toBe(true);
});
