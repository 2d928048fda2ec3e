import { GatewayError } from "#shared/messages/error.ts";

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since the epoch; without it the wait has no end of its own. */
  readonly until?: number | undefined;
}

/** Lets many wait for a condition that is looked at again whenever something changed. */
export interface ChangeSignal {
  /** Something changed: all who wait look again, now. */
  changed(): void;
  /**
   * What `look` finds: at once, or after a change; undefined when `until` passes first. Rejects with GatewayError
   * `cancelled` when the signal aborts.
   */
  wait<T>(look: () => T | undefined, options: WaitOptions): Promise<T | undefined>;
}

/** What a timer can hold, 24 days; longer waits end there. */
const longestTimer = 0x7fffffff;

export function createChangeSignal(): ChangeSignal {
  const watchers = new Set<() => void>();
  return {
    changed() {
      for (const watcher of watchers) watcher();
    },
    wait: (look, options) => waitFor(look, options, watchers),
  };
}

function waitFor<T>(look: () => T | undefined, options: WaitOptions, watchers: Set<() => void>) {
  const { signal, until } = options;
  return new Promise<T | undefined>((resolve, reject) => {
    if (signal?.aborted) return reject(abandoned(signal));
    const found = look();
    if (found !== undefined || (until !== undefined && until <= Date.now())) return resolve(found);
    const stop = (): void => {
      watchers.delete(watcher);
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    const watcher = (): void => {
      const seen = look();
      if (seen === undefined) return;
      stop();
      resolve(seen);
    };
    const onAbort = (): void => {
      stop();
      if (signal) reject(abandoned(signal));
    };
    const onTime = (): void => {
      stop();
      resolve(look());
    };
    const timer = until === undefined ? undefined : setTimeout(onTime, Math.min(until - Date.now(), longestTimer));
    watchers.add(watcher);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** What a wait rejects with when its signal aborts. */
export function abandoned(signal: AbortSignal): GatewayError {
  return new GatewayError("cancelled", "The caller is gone.", { cause: signal.reason });
}
