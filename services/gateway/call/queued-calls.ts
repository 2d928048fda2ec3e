import type { CallClock } from "../call-clock.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { createAbandonedJobs } from "./abandoned-jobs.ts";
import { JoinedCall, type JoinOptions } from "./joined-call.ts";
import type { OpenCall } from "./open-call.ts";
import { createStraightLanes } from "./straight-lanes.ts";
import { QueuedCall } from "./queued-call.ts";
import type { QueuedCallDeps, WaitingCall } from "./queued-deps.ts";

/** The whole answers and counts of this process. */
export interface QueuedCalls {
  start(call: OpenCall): void;
  /** Answers the call with the outcome of another one. */
  join(call: OpenCall, options: JoinOptions): void;
  close(): void;
}

export function createQueuedCalls(deps: GatewayDeps, clock: CallClock): QueuedCalls {
  const open = new Set<WaitingCall>();
  const { producer, calls, queue, lanes: mostStraight } = deps;
  const abandoned = createAbandonedJobs({ producer, calls, lingerMs: queue.lingerMs });
  const straightLanes = createStraightLanes({ mode: queue.interactive, mostStraight, producer });
  const onEnd = (call: WaitingCall): void => void open.delete(call);
  const callDeps: QueuedCallDeps = { ...deps, clock, abandoned, straightLanes, onEnd };
  const stop = deps.replies.onRestored(() => {
    for (const call of open) call.restored();
  });
  return {
    start(call) {
      const queued = new QueuedCall(call, callDeps);
      open.add(queued);
      queued.start();
    },
    join(call, options) {
      const joined = new JoinedCall(call, options, callDeps);
      open.add(joined);
      joined.start();
    },
    close() {
      stop();
      straightLanes.close();
      abandoned.close();
    },
  };
}
