import type { CallClock, Ticking } from "../call-clock.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { AbandonedJobs } from "./abandoned-jobs.ts";
import type { StraightLanes } from "./straight-lanes.ts";

/** A whole answer or a count under way. */
export interface WaitingCall extends Ticking {
  /** The reply channel is whole again, after an interruption. */
  restored(): void;
}

export interface QueuedCallDeps extends GatewayDeps {
  readonly clock: CallClock;
  readonly abandoned: AbandonedJobs;
  readonly straightLanes: StraightLanes;
  readonly onEnd: (call: WaitingCall) => void;
}
