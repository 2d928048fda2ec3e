import type { Outcome } from "#shared/messages/outcome.ts";

/** How long a success can be given once more to an SDK's retry. */
export const replayMs = 60_000;
/** What is wrong with the request itself, and would be the next time. */
const lastingStatuses: readonly number[] = [400, 413, 422];

/** Whether an outcome stays the answer under its idempotency key; after any other the key may be used again. */
export function isLasting({ status }: Outcome): boolean {
  return status === 200 || lastingStatuses.includes(status);
}

/** Whether an outcome is a success that ended no longer ago than a retry may be answered with. */
export function isFreshSuccess(outcome: Outcome, now: number): boolean {
  const endedAt = outcome.attempts.at(-1)?.endedAt ?? 0;
  return outcome.status === 200 && now - endedAt <= replayMs;
}
