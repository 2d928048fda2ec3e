import { PassingMap } from "#shared/runtime/passing.ts";
import { createChangeSignal } from "./change-signal.ts";
import type { Channel } from "./channel.ts";

/** A call that another session can take over. */
export interface HeldCall {
  readonly delivery: number;
  /** A delivery at least as high asks for the call: it goes on there, and the former holder is told. */
  takeOver(channel: Channel, delivery: number): void;
  /** Ends it without an answer: the handler's signal aborts. */
  drop(): void;
}

/** What a worker has in hand, over all its sessions. */
export interface CallBook {
  /** Whole answers by call id, from their opening until their outcome has arrived. */
  readonly answers: PassingMap<string, HeldCall>;
  /** Calls that run; drives the load report and the drain. */
  readonly running: number;
  started(): void;
  ended(): void;
  /** An outcome is there that has not arrived yet (1), or has (-1). */
  undelivered(change: 1 | -1): void;
  /** Resolves once nothing runs and every outcome has arrived or had `graceMs` to, or when the signal aborts. */
  drained(signal: AbortSignal, graceMs: number): Promise<void>;
}

export function createCallBook(): CallBook {
  const change = createChangeSignal();
  let running = 0;
  let undelivered = 0;
  return {
    answers: new PassingMap(),
    get running() {
      return running;
    },
    started() {
      running++;
    },
    ended() {
      running--;
      if (running === 0) change.changed();
    },
    undelivered(by) {
      undelivered += by;
      if (undelivered === 0) change.changed();
    },
    async drained(signal, graceMs) {
      const idle = (): true | undefined => (running === 0 || signal.aborted ? true : undefined);
      const empty = (): true | undefined => (undelivered === 0 || signal.aborted ? true : undefined);
      const onAbort = (): void => change.changed();
      signal.addEventListener("abort", onAbort, { once: true });
      await change.wait(idle, {});
      await change.wait(empty, { until: Date.now() + graceMs });
      signal.removeEventListener("abort", onAbort);
    },
  };
}
