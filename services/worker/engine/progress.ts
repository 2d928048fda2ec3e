import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { CallRun } from "./call-run.ts";

/** What the next attempt has to know of those before it. */
export interface Progress {
  /** Asked before all others. */
  preferred: PlannedTarget | undefined;
  /** The next attempt repeats one that was sent but never answered. */
  isRerun: boolean;
  readonly retries: Map<PlannedTarget, number>;
  waitedMs: number;
  /** Targets that were asked again without the flags they refused. */
  betasDropped: Set<PlannedTarget> | undefined;
  /** Targets that were asked again with another credential. */
  renewed: Set<PlannedTarget> | undefined;
}

export function createProgress({ isUnanswered }: CallRun): Progress {
  return {
    preferred: undefined,
    isRerun: isUnanswered,
    retries: new Map(),
    waitedMs: 0,
    betasDropped: undefined,
    renewed: undefined,
  };
}
