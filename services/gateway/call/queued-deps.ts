import type { CallClock, Ticking } from "../call-clock.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { AbandonedJobs } from "./abandoned-jobs.ts";
import type { RecentOutcomes } from "./recent-outcomes.ts";
import type { StraightLanes } from "./straight-lanes.ts";

/** A whole answer or a count under way. */
export interface WaitingCall extends Ticking {
  /** The reply channel is whole again, after an interruption. */
  restored(): void;
  /** Somebody elsewhere wants the outcome of this call; true when it is this one, which will settle it. */
  wanted(callId: string): boolean;
}

export interface QueuedCallDeps extends GatewayDeps {
  readonly clock: CallClock;
  readonly abandoned: AbandonedJobs;
  readonly straightLanes: StraightLanes;
  readonly recent: RecentOutcomes;
}
