import { getEventListeners } from "node:events";
import { GatewayError } from "#shared/messages/error.ts";
import { afterEach, describe, expect, test, vi } from "vitest";
import { sleep, withDeadline } from "./deadline.ts";

afterEach(() => {
  vi.useRealTimers();
});

describe("sleep", () => {
  test("it ends with the signal's reason as soon as the signal aborts, and leaves no listener", async () => {
    const controller = new AbortController();
    const reason = new Error("the caller left");
    const sleeping = sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("it does not begin under an aborted signal", async () => {
    await expect(sleep(60_000, AbortSignal.abort(new Error("too late")))).rejects.toThrow("too late");
  });

  test("it leaves no listener when it runs out", async () => {
    const controller = new AbortController();
    await sleep(1, controller.signal);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("a time longer than Node's longest timer does not end at once", async () => {
    vi.useFakeTimers();
    const month = 31 * 86_400_000;
    const ended = vi.fn<() => void>();
    void sleep(month).then(ended);
    await vi.advanceTimersByTimeAsync(month - 1);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toHaveBeenCalledOnce();
  });
});

describe("a timer that fires early by the clock on the wall", () => {
  test("ends no sleep and no deadline before its time", async () => {
    vi.useFakeTimers();
    const ended = vi.fn<() => void>();
    void sleep(1_000).then(ended);
    const { signal } = withDeadline(undefined, Date.now() + 1_000);
    vi.setSystemTime(Date.now() - 2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(ended).not.toHaveBeenCalled();
    expect(signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    expect(ended).toHaveBeenCalledOnce();
    expect(signal.aborted).toBe(true);
  });

  test("is not waited for again where the clock was set back", async () => {
    vi.useFakeTimers();
    const ended = vi.fn<() => void>();
    void sleep(1_000).then(ended);
    vi.setSystemTime(Date.now() - 3_600_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(ended).toHaveBeenCalledOnce();
  });
});

describe("a deadline", () => {
  test("it aborts at its time with timed_out", () => {
    vi.useFakeTimers();
    const { signal } = withDeadline(undefined, Date.now() + 1_000);
    vi.advanceTimersByTime(999);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.reason).toBeInstanceOf(GatewayError);
    expect((signal.reason as GatewayError).code).toBe("timed_out");
  });

  test("it aborts with its parent, for the parent's reason", () => {
    const parent = new AbortController();
    const { signal } = withDeadline(parent.signal, Date.now() + 60_000);
    parent.abort("gone");
    expect(signal.reason).toBe("gone");
  });

  test("under an aborted parent it is aborted from the start", () => {
    expect(withDeadline(AbortSignal.abort("gone"), Date.now() + 60_000).signal.reason).toBe("gone");
  });

  test("a cleared one never aborts and lets go of its parent", () => {
    vi.useFakeTimers();
    const parent = new AbortController();
    const { signal, clear } = withDeadline(parent.signal, Date.now() + 1_000);
    clear();
    vi.advanceTimersByTime(2_000);
    expect(signal.aborted).toBe(false);
    expect(getEventListeners(parent.signal, "abort")).toHaveLength(0);
  });

  test("one that has passed lets go of its parent", () => {
    vi.useFakeTimers();
    const parent = new AbortController();
    withDeadline(parent.signal, Date.now() + 1_000);
    vi.advanceTimersByTime(1_000);
    expect(getEventListeners(parent.signal, "abort")).toHaveLength(0);
  });
});
