import type { Target } from "#shared/routing/catalogue.ts";
import type { TargetBoard } from "#shared/store/target-board.ts";
import type { TargetCause } from "#shared/store/target-cause.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import { blockedUntil } from "./blocked-until.ts";
import { causeOf } from "./cause-of.ts";
import { targetKey } from "./target-key.ts";

/** What the fleet must know of a target after an attempt, beside its breaker. */
export interface Limits {
  /** A 429: blocks the target. */
  limited(target: Target, end: AttemptEnd): void;
  /** Our credential was refused there. */
  credentialRefused(target: Target, end: AttemptEnd): void;
  /** The account of the target's provider has no money, or is on hold. */
  accountExhausted(target: Target, end: AttemptEnd): void;
  /** A success: the back-off begins anew. */
  succeeded(target: Target): void;
}

const firstBackoffMs = 1_000;
const longestBackoffMs = 60_000;
const credentialOutMs = 60_000;
const exhaustedOutMs = 600_000;

type MarkReason = "rate_limited" | "credential" | "exhausted";

/** What was noted of a target, and until when (milliseconds since the epoch). */
export interface Mark {
  readonly reason: MarkReason;
  readonly cause: TargetCause;
  readonly until: number;
}

export function createLimits(board: TargetBoard, onMark: (target: Target, mark: Mark) => void): Limits {
  /** 429s in a row, for providers that do not say how long to wait. */
  const refusals = new Map<string, number>();
  return {
    limited: (target, end) => {
      const key = targetKey(target);
      const before = refusals.get(key) ?? 0;
      refusals.set(key, before + 1);
      const given = { now: Date.now(), backoffMs: backoffMs(before), retryAt: end.failure?.retryAt };
      const until = blockedUntil(end.headers ?? {}, given);
      const cause = causeOf(end);
      board.block(target, until, cause);
      onMark(target, { reason: "rate_limited", cause, until });
    },
    credentialRefused: (target, end) => {
      const [until, cause] = [Date.now() + credentialOutMs, causeOf(end)];
      board.out(target, until, cause);
      onMark(target, { reason: "credential", cause, until });
    },
    accountExhausted: (target, end) => {
      const [until, cause] = [Date.now() + exhaustedOutMs, causeOf(end)];
      board.out(target.provider, until, cause);
      onMark(target, { reason: "exhausted", cause, until });
    },
    succeeded: (target) => {
      if (refusals.size > 0) refusals.delete(targetKey(target));
    },
  };
}

function backoffMs(refusalsBefore: number): number {
  return Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(refusalsBefore, 10));
}
