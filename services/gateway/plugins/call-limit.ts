/**
 * How many calls may be open before new ones are shed, found by what calls wait between their acceptance and the moment
 * a provider is first asked. While every call of a window waits too long there is a standing queue, wherever it stands:
 * then fewer calls may be open, until some get through in time again. Slow providers do not count, nor does waiting for
 * a limit to reset: neither gets better by refusing calls.
 */
export interface CallLimit {
  /** Calls that may be open at present. */
  readonly current: number;
  /** What one call waited for us, in milliseconds. */
  observe(waitedMs: number): void;
  /** Ends a window, in which so many calls were open at the end. */
  adapt(openCalls: number): void;
}

export interface CallLimitOptions {
  readonly most: number;
  /** The shortest wait of a window above which there is a standing queue. */
  readonly targetMs: number;
}

/** Enough to keep every process busy, however long the wait. */
const fewest = 64;
const shrink = 0.85;
const grow = 1.1;
/** So many windows without a call in a row, and what was known of the queue holds no more. */
const forgetAfter = 4;

export function createCallLimit({ most, targetMs }: CallLimitOptions): CallLimit {
  let current = most;
  let shortestMs = Infinity;
  let emptyWindows = 0;
  return {
    get current() {
      return current;
    },
    observe(waitedMs) {
      if (waitedMs < shortestMs) shortestMs = waitedMs;
    },
    adapt(openCalls) {
      if (shortestMs === Infinity) {
        // A stand-still, nothing to do, or open calls that all take long: those must not shut the door on new ones.
        emptyWindows += 1;
        if (emptyWindows > forgetAfter) current = Math.min(most, Math.ceil(current * grow));
        return;
      }
      emptyWindows = 0;
      if (shortestMs > targetMs) current = Math.max(fewest, Math.floor(Math.min(current, openCalls) * shrink));
      else if (openCalls >= current * shrink) current = Math.min(most, Math.ceil(current * grow));
      else if (shortestMs < targetMs / 4) current = Math.min(most, Math.ceil(current * grow * grow));
      shortestMs = Infinity;
    },
  };
}
