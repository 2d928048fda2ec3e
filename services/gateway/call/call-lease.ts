import type { BodyBudget } from "../plugins/body-budget.ts";
import type { LoadGuard } from "../plugins/load-guard.ts";

/** What a call holds while it is open: its place, its share of the key's limits, its body's bytes. */
export interface CallLease {
  /** Called once the body has been read. */
  holdBytes(bytes: number): void;
  /** Called when the key's limits have let the call in. */
  holdLimits(release: () => void): void;
  /** Gives everything back; twice is harmless. */
  release(): void;
}

/** Takes a place or throws `overloaded`. */
export function takeLease(guard: LoadGuard, budget: BodyBudget): CallLease {
  guard.enter();
  let heldBytes = 0;
  let releaseLimits: (() => void) | undefined;
  let released = false;
  return {
    holdBytes(bytes) {
      heldBytes = bytes;
    },
    holdLimits(release) {
      if (released) release();
      else releaseLimits = release;
    },
    release() {
      if (released) return;
      released = true;
      guard.leave();
      if (heldBytes > 0) budget.give(heldBytes);
      releaseLimits?.();
    },
  };
}
