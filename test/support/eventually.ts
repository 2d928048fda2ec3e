import { setTimeout as sleep } from "node:timers/promises";

export interface EventuallyOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

/**
 * Repeats an assertion until it holds; rejects with its last failure when time is up. What is waited for by default is
 * long: it only says when to give up what will never come, on a machine however busy.
 */
export async function eventually<T>(assertion: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const { timeoutMs = 20_000, everyMs = 10 } = options;
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await assertion();
    } catch (reason) {
      if (performance.now() >= giveUpAt) throw reason;
    }
    await sleep(everyMs);
  }
}
