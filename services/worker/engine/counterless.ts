import type { Target } from "#shared/routing/catalogue.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { CallRun } from "./call-run.ts";
import { targetKey } from "./target-key.ts";

/** Targets that were found to have no token counter; remembered for an hour, since a server may be upgraded. */
export interface Counterless {
  has(target: Target): boolean;
  remember(target: Target): void;
}

const rememberMs = 60 * 60 * 1000;

export function createCounterless(): Counterless {
  const until = new Map<string, number>();
  return {
    has: (target) => (until.get(targetKey(target)) ?? 0) > Date.now(),
    remember: (target) => until.set(targetKey(target), Date.now() + rememberMs),
  };
}

/**
 * A 404 that is not the API's own, since an unknown model is answered in words; or a success that is neither a count
 * nor an error of the API's: the path does not exist there.
 */
export function hasNoCounter({ reason, status, failure }: AttemptEnd): boolean {
  if (failure?.envelope !== false || failure.answer !== undefined) return false;
  return reason === "not_found" || (reason === "server_error" && status === 200);
}

/** Our account may use the model, but not its counter: a right of its own at some. */
function mayNotCount({ reason, failure }: AttemptEnd): boolean {
  return reason === "forbidden" && failure?.envelope === false;
}

/** Whether a count came to nothing only because nobody it could be given to can count. */
export function nobodyCounts(run: CallRun): boolean {
  return run.targets.every((target) => {
    const end = run.ends.get(target);
    return end === undefined ? run.struck.has(target) : hasNoCounter(end) || mayNotCount(end);
  });
}
