import { GatewayError } from "#shared/messages/error.ts";

/** Node fires a timer of more than this at once. */
const longestTimerMs = 2 ** 31 - 1;
/** A timer may fire so much before its time by the wall clock; where more is left, the clock was set meanwhile. */
const mostEarlyMs = 5;

/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. Leaves no listener and no timer behind. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const stop = startTimer(Date.now() + ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    function onAbort(): void {
      stop();
      reject(signal?.reason as Error);
    }
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export interface Deadline {
  /** Aborts when the parent does, with its reason, or at the time, with `timed_out`. */
  readonly signal: AbortSignal;
  /** Call it when the work is done: until then the parent keeps a listener. */
  readonly clear: () => void;
}

/** A signal that also aborts at an instant (milliseconds since the epoch). Its timer keeps no process alive. */
export function withDeadline(parent: AbortSignal | undefined, at: number): Deadline {
  const controller = new AbortController();
  if (parent?.aborted) {
    controller.abort(parent.reason);
    return { signal: controller.signal, clear: () => undefined };
  }
  const stop = startTimer(
    at,
    () => {
      clear();
      controller.abort(new GatewayError("timed_out", "The time for this call is up."));
    },
    "unref",
  );
  function onAbort(): void {
    stop();
    controller.abort(parent?.reason);
  }
  function clear(): void {
    stop();
    parent?.removeEventListener("abort", onAbort);
  }
  parent?.addEventListener("abort", onAbort, { once: true });
  return { signal: controller.signal, clear };
}

/**
 * Runs `then` at an instant (milliseconds since the epoch), however far, and not a millisecond before: whoever waits
 * for a limit to reset must not ask while it lasts. Returns what stops it.
 */
export function startTimer(at: number, then: () => void, hold: "ref" | "unref" = "ref"): () => void {
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const left = at - Date.now();
    timer = setTimeout(left > longestTimerMs ? arm : fire, Math.min(Math.max(0, left), longestTimerMs));
    if (hold === "unref") timer.unref();
  };
  const fire = (): void => {
    const left = at - Date.now();
    if (left > 0 && left <= mostEarlyMs) arm();
    else then();
  };
  arm();
  return () => clearTimeout(timer);
}
