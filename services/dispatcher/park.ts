export interface ParkQuestion {
  /** When the targets are free again, milliseconds since the epoch. */
  readonly blockedUntil: number;
  /** The latest time the call may wait for capacity. */
  readonly waitUntil: number;
  readonly now: number;
}

/** At least this long, so that clocks which differ a little make no job spin. */
const shortestParkMs = 50;
/** All jobs that wait for one reset come back within this time, not at once. */
const widestJitterMs = 1000;

/**
 * When a job that met only blocked targets should be tried again, or undefined when its caller cannot wait so long.
 * Never before the reset, and never after the time the call may wait.
 */
export function parkUntil({ blockedUntil, waitUntil, now }: ParkQuestion, random = Math.random): number | undefined {
  const soonest = Math.max(blockedUntil, now + shortestParkMs);
  if (soonest > waitUntil) return undefined;
  const jitterMs = random() * Math.min(widestJitterMs, Math.max(shortestParkMs, (soonest - now) / 10));
  return Math.min(waitUntil, Math.round(soonest + jitterMs));
}
