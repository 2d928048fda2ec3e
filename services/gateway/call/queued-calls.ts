import type { CallClock } from "../call-clock.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { createAbandonedJobs } from "./abandoned-jobs.ts";
import type { OpenCall } from "./open-call.ts";
import { createStraightLanes } from "./straight-lanes.ts";
import { QueuedCall, type QueuedCallDeps } from "./queued-call.ts";

/** The whole answers and counts of this process. */
export interface QueuedCalls {
  start(call: OpenCall): void;
  close(): void;
}

export function createQueuedCalls(deps: GatewayDeps, clock: CallClock): QueuedCalls {
  const open = new Set<QueuedCall>();
  const abandoned = createAbandonedJobs(deps);
  const { producer, queueUse: mode, lanes: mostStraight } = deps;
  const straightLanes = createStraightLanes({ mode, mostStraight, producer });
  const callDeps: QueuedCallDeps = { ...deps, clock, abandoned, straightLanes, onEnd: (call) => open.delete(call) };
  const stop = deps.replies.onRestored(() => {
    for (const call of open) call.restored();
  });
  return {
    start(call) {
      const queued = new QueuedCall(call, callDeps);
      open.add(queued);
      queued.start();
    },
    close() {
      stop();
      straightLanes.close();
      abandoned.close();
    },
  };
}
