import type { Outcome } from "#shared/messages/outcome.ts";
import { isFreshSuccess, replayMs } from "./replayable.ts";

/** Successes of the last minute that went by Redis, so that a retry finds them. */
export interface RecentOutcomes {
  remember(callId: string, outcome: Outcome): void;
  /** What is given is forgotten here. */
  take(callId: string): Outcome | undefined;
}

interface Recent {
  readonly outcome: Outcome;
  readonly at: number;
}

/** Bytes of bodies, and of what comes with each. */
const mostBytes = 32 * 2 ** 20;
const factsBytes = 1024;

/** The oldest go when their minute is over, or for the sake of newer ones. */
export function createRecentOutcomes(most = mostBytes): RecentOutcomes {
  // In the order in which they came.
  const recent = new Map<string, Recent>();
  let bytes = 0;
  function forget(callId: string, { outcome }: Recent): void {
    recent.delete(callId);
    bytes -= sizeOf(outcome);
  }
  return {
    remember(callId, outcome) {
      const now = Date.now();
      if (outcome.status !== 200 || sizeOf(outcome) > most) return;
      bytes += sizeOf(outcome);
      for (const [id, one] of recent) {
        if (bytes <= most && now - one.at <= replayMs) break;
        forget(id, one);
      }
      recent.set(callId, { outcome: unpinned(outcome), at: now });
    },
    take(callId) {
      const found = recent.get(callId);
      if (!found) return undefined;
      forget(callId, found);
      return isFreshSuccess(found.outcome, Date.now()) ? found.outcome : undefined;
    },
  };
}

/** A small body is a view into a larger message, which would stay in memory with it. */
function unpinned(outcome: Outcome): Outcome {
  const { body } = outcome;
  return body.length * 2 > body.buffer.byteLength ? outcome : { ...outcome, body: Buffer.from(body) };
}

function sizeOf({ body }: Outcome): number {
  return body.length + factsBytes;
}
