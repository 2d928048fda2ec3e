import type { JobProducer } from "#shared/queue/job-producer.ts";
import { lanes, type Lane } from "#shared/queue/job.ts";

/**
 * Whether a whole answer or a count may go straight over a session although Redis is there: only while nothing waits in
 * its lane, so that nobody overtakes. For `queue.interactive: when_waiting`.
 */
export interface StraightLanes {
  /** True when the call may try; then `ended` must be called when it came back, one way or the other. */
  mayTry(lane: Lane): boolean;
  ended(lane: Lane): void;
  /** A call of this lane waits in the queue from now on. */
  waiting(lane: Lane): void;
  close(): void;
}

export interface StraightLanesDeps {
  readonly mode: "always" | "when_waiting";
  /** Calls that may be under way straight at a time, a lane: beyond it the queue is the place to wait. */
  readonly mostStraight: Readonly<Record<Lane, number>>;
  readonly producer: Pick<JobProducer, "depth">;
}

/** A lane that has just emptied is seen so much later; one that fills is known at once, or is another gateway's. */
const askEveryMs = 250;

export function createStraightLanes({ mode, mostStraight, producer }: StraightLanesDeps): StraightLanes {
  const isFree: Record<Lane, boolean> = { interactive: true, count: true, background: false };
  const under: Record<Lane, number> = { interactive: 0, count: 0, background: 0 };
  let filledAt = 0;

  async function ask(): Promise<void> {
    const askedAt = Date.now();
    // Without Redis there is no queue to wait in.
    const depth = await producer.depth().catch(() => undefined);
    // What was asked before a job was added knows nothing of it.
    if (askedAt <= filledAt) return;
    for (const lane of lanes) isFree[lane] = !depth || depth[lane].waiting + depth[lane].delayed === 0;
  }
  const timer = mode === "when_waiting" ? setInterval(() => void ask(), askEveryMs).unref() : undefined;

  return {
    mayTry(lane) {
      if (mode === "always" || !isFree[lane] || under[lane] >= mostStraight[lane]) return false;
      under[lane] += 1;
      return true;
    },
    ended: (lane) => void (under[lane] -= 1),
    waiting(lane) {
      isFree[lane] = false;
      filledAt = Date.now();
    },
    close: () => clearInterval(timer),
  };
}
