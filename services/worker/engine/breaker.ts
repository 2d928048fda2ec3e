import { hash } from "node:crypto";
import type { TargetBoard } from "#shared/store/target-board.ts";
import type { Target } from "#shared/routing/catalogue.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import { causeOf } from "./cause-of.ts";
import { targetKey } from "./target-key.ts";
import type { HealthMark } from "./decide-next.ts";

export interface Breaker {
  /** Counts a failure; opens the target's breaker when it is one too many. `end` is why, `body` the call's. */
  failed(target: Target, mark: FailureMark, failed: { readonly body: Buffer; readonly end: AttemptEnd }): void;
  succeeded(target: Target): void;
}

type FailureMark = Exclude<HealthMark, "success" | "none">;

const connectFailuresToOpen = 3;
const failuresToOpen = 5;
const bodiesToOpen = 2;
const firstOpenMs = 5_000;
const longestOpenMs = 60_000;

interface Streak {
  connectFailures: number;
  failures: number;
  readonly bodies: Set<string>;
}

/**
 * Counts failures in a row per target, in this process; what opens is shared through the board. Failures count only
 * from at least two different bodies, so that one poisonous request closes nothing for the others.
 */
export function createBreaker(board: TargetBoard, onOpen: (target: Target) => void): Breaker {
  const streaks = new Map<string, Streak>();
  return {
    succeeded: (target) => {
      if (streaks.size > 0) streaks.delete(targetKey(target));
      board.closeBreaker(target);
    },
    failed: (target, mark, { body, end }) => {
      const key = targetKey(target);
      const { breakerOpenings } = board.state(target.provider, target.model);
      const streak = addFailure(streaks, key, mark === "connect_failure" ? undefined : body);
      // A target on trial opens again at its first failure.
      if (breakerOpenings === 0 && !isTooMany(streak)) return;
      streaks.delete(key);
      board.openBreaker(target, Date.now() + openMs(breakerOpenings), causeOf(end));
      onOpen(target);
    },
  };
}

/** How long a breaker stays open that has opened so often before without a success in between. */
export function openMs(openings: number): number {
  return Math.min(longestOpenMs, firstOpenMs * 2 ** Math.min(openings, 10));
}

function addFailure(streaks: Map<string, Streak>, key: string, body: Buffer | undefined): Streak {
  let streak = streaks.get(key);
  if (!streak) streaks.set(key, (streak = { connectFailures: 0, failures: 0, bodies: new Set() }));
  if (body === undefined) {
    streak.connectFailures += 1;
    return streak;
  }
  streak.connectFailures = 0;
  streak.failures += 1;
  if (streak.bodies.size < bodiesToOpen) streak.bodies.add(bodyPrint(body));
  return streak;
}

function isTooMany(streak: Streak): boolean {
  if (streak.connectFailures >= connectFailuresToOpen) return true;
  return streak.failures >= failuresToOpen && streak.bodies.size >= bodiesToOpen;
}

/** Tells bodies apart without reading 32 MiB: length, beginning and end. */
function bodyPrint(body: Buffer): string {
  const ends = Buffer.concat([body.subarray(0, 4096), body.subarray(-16_384)]);
  return `${body.length}:${hash("sha1", ends, "base64")}`;
}
