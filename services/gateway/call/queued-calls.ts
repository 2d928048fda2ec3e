import { PassingSet } from "#shared/runtime/passing.ts";
import type { CallClock } from "../call-clock.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { createAbandonedJobs } from "./abandoned-jobs.ts";
import { JoinedCall, type JoinOptions } from "./joined-call.ts";
import type { OpenCall } from "./open-call.ts";
import { createRecentOutcomes } from "./recent-outcomes.ts";
import { replayMs } from "./replayable.ts";
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
  const open = new PassingSet<WaitingCall>();
  const joined = new PassingSet<JoinedCall>();
  const { producer, calls, queue, lanes: mostStraight } = deps;
  const abandoned = createAbandonedJobs({ producer, calls, lingerMs: queue.lingerMs });
  const straightLanes = createStraightLanes({ mode: queue.interactive, mostStraight, producer });
  const recent = createRecentOutcomes();
  const callDeps: QueuedCallDeps = { ...deps, clock, abandoned, straightLanes, recent };
  /** What only this process knows is told when it is asked for: nearly nothing is. */
  function tell(callId: string, channel: string): void {
    for (const call of open) if (call.wanted(callId)) return;
    const outcome = recent.take(callId);
    if (outcome) deps.results.settle(callId, outcome, "", replayMs).catch(() => undefined);
    else calls.tellGone(callId, channel);
  }
  const stops = [
    deps.replies.onRestored(() => {
      for (const call of open) call.restored();
    }),
    deps.replies.onWanted(tell),
    deps.replies.onGone((callId) => {
      for (const call of joined) call.gone(callId);
    }),
  ];
  return {
    start(call) {
      const queued = new QueuedCall(call, callDeps);
      queued.start(open.add(queued));
    },
    join(call, options) {
      const joining = new JoinedCall(call, options, callDeps);
      const stops = [open.add(joining), joined.add(joining)];
      joining.start(() => stops.forEach((stop) => stop()));
    },
    close() {
      for (const stop of stops) stop();
      straightLanes.close();
      abandoned.close();
    },
  };
}
