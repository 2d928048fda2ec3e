import type { Target } from "#shared/routing/catalogue.ts";
import type { TargetBoard } from "#shared/store/target-board.ts";
import { blockedUntil } from "./blocked-until.ts";
import { targetKey } from "./target-key.ts";

/** What the fleet must know of a target after an attempt, beside its breaker. */
export interface Limits {
  /** A 429: blocks the target and says until when; `retryAt` where its wire says so outside of the headers. */
  limited(target: Target, headers: Readonly<Record<string, string>>, retryAt?: number): number;
  /** Our credential was refused there. */
  credentialRefused(target: Target): void;
  /** The account of the target's provider has no money, or is on hold. */
  accountExhausted(target: Target): void;
  /** A success: the back-off begins anew. */
  succeeded(target: Target): void;
}

const firstBackoffMs = 1_000;
const longestBackoffMs = 60_000;
const credentialOutMs = 60_000;
const exhaustedOutMs = 600_000;

export type MarkReason = "rate_limited" | "credential" | "exhausted";

export function createLimits(board: TargetBoard, onMark: (target: Target, reason: MarkReason) => void): Limits {
  /** 429s in a row, for providers that do not say how long to wait. */
  const refusals = new Map<string, number>();
  return {
    limited: (target, headers, retryAt) => {
      const key = targetKey(target);
      const before = refusals.get(key) ?? 0;
      refusals.set(key, before + 1);
      const until = blockedUntil(headers, { now: Date.now(), backoffMs: backoffMs(before), retryAt });
      board.block(target, until, "rate_limited");
      onMark(target, "rate_limited");
      return until;
    },
    credentialRefused: (target) => {
      board.out(target, Date.now() + credentialOutMs, "credential");
      onMark(target, "credential");
    },
    accountExhausted: (target) => {
      board.out(target.provider, Date.now() + exhaustedOutMs, "exhausted");
      onMark(target, "exhausted");
    },
    succeeded: (target) => {
      if (refusals.size > 0) refusals.delete(targetKey(target));
    },
  };
}

function backoffMs(refusalsBefore: number): number {
  return Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(refusalsBefore, 10));
}
