import type { AttemptEnd } from "./attempt-end.ts";
import type { CallRun } from "./call-run.ts";

/** Providers that were found to have no token counter; remembered for an hour, since a server may be upgraded. */
export interface Counterless {
  has(provider: string): boolean;
  remember(provider: string): void;
}

const rememberMs = 60 * 60 * 1000;

export function createCounterless(): Counterless {
  const until = new Map<string, number>();
  return {
    has: (provider) => (until.get(provider) ?? 0) > Date.now(),
    remember: (provider) => until.set(provider, Date.now() + rememberMs),
  };
}

/** A 404 that is not the API's own: the path does not exist there. An unknown model is answered in words. */
export function hasNoCounter(end: AttemptEnd): boolean {
  return end.reason === "not_found" && end.failure?.envelope === false && end.failure.answer === undefined;
}

/** Whether a count came to nothing only because nobody it could be given to can count. */
export function nobodyCounts(run: CallRun): boolean {
  return run.targets.every((target) => {
    const end = run.ends.get(target);
    return end === undefined ? run.struck.has(target) : hasNoCounter(end);
  });
}
