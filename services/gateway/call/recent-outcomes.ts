import type { Outcome } from "#shared/messages/outcome.ts";
import { isFreshSuccess, replayMs } from "./replayable.ts";

/** Successes of the last minute that went by Redis, so that a retry finds them. */
export interface RecentOutcomes {
  remember(callId: string, outcome: Outcome): void;
  /** What is given is forgotten here. */
  take(callId: string): Outcome | undefined;
}

/** Bytes of bodies, and of what comes with each. */
const mostBytes = 32 * 2 ** 20;
const factsBytes = 1024;

/**
 * Two generations: when the younger one is a minute old or half of the bytes, the older one is forgotten as a whole.
 * Outcomes are not forgotten one by one: finding the oldest in a Map means reading past all that were deleted before it.
 */
export function createRecentOutcomes(most = mostBytes): RecentOutcomes {
  let older = new Map<string, Outcome>();
  let younger = new Map<string, Outcome>();
  let bytes = 0;
  let since = 0;
  function makeRoom(size: number): void {
    const now = Date.now();
    if (bytes + size <= most / 2 && now - since <= replayMs) {
      bytes += size;
      return;
    }
    older = younger;
    younger = new Map();
    bytes = size;
    since = now;
  }
  return {
    remember(callId, outcome) {
      const size = outcome.body.length + factsBytes;
      if (outcome.status !== 200 || size > most / 2) return;
      makeRoom(size);
      younger.set(callId, unpinned(outcome));
    },
    take(callId) {
      const outcome = younger.get(callId) ?? older.get(callId);
      younger.delete(callId);
      older.delete(callId);
      return outcome && isFreshSuccess(outcome, Date.now()) ? outcome : undefined;
    },
  };
}

/** A small body is a view into a larger message, which would stay in memory with it. */
function unpinned(outcome: Outcome): Outcome {
  const { body } = outcome;
  return body.length * 2 > body.buffer.byteLength ? outcome : { ...outcome, body: Buffer.from(body) };
}
