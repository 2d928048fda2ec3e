import { PassingSet } from "#shared/runtime/passing.ts";

/** One timer for the time-outs of every open call: thousands of calls would otherwise hold several timers each. */
export interface CallClock {
  /** Returns what takes it out again. */
  add(call: Ticking): () => void;
  close(): void;
}

export interface Ticking {
  tick(now: number): void;
}

const everyMs = 200;

/** Runs only while there are calls. A call may remove itself or others during its tick. */
export function createCallClock(): CallClock {
  const calls = new PassingSet<Ticking>();
  let timer: NodeJS.Timeout | undefined;
  const tickAll = (): void => {
    const now = Date.now();
    for (const call of calls) call.tick(now);
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const tickOrStop = (): void => {
    if (calls.size === 0) stop();
    else tickAll();
  };
  return {
    add(call) {
      timer ??= setInterval(tickOrStop, everyMs);
      return calls.add(call);
    },
    close: stop,
  };
}
