import type { TargetState } from "#shared/store/target-board.ts";
import type { TargetCause } from "#shared/store/target-cause.ts";

/** Whether a target may be asked now, by what the fleet knows. */
export type Availability =
  | { readonly kind: "free" }
  /** Limited: the target itself has said until when. */
  | LeftOut<"blocked">
  /** It was unreachable or failing; half-open at `until`. */
  | LeftOut<"broken">
  /** Our credential or account there is refused. */
  | LeftOut<"out">
  /** Its limit has reset, or its breaker is half open: one call may try. */
  | { readonly kind: "on_trial"; readonly probe: "reset" | "half_open"; readonly resetAt: number };

interface LeftOut<Kind extends string> {
  readonly kind: Kind;
  readonly until: number;
  readonly cause: TargetCause | undefined;
}

export const free: Availability = { kind: "free" };

/** Pure; `triedResetAt` is the latest reset that one call has tried, so that the others may follow. */
export function availabilityOf(state: TargetState, now: number, triedResetAt: number): Availability {
  if (state.outUntil > now) return { kind: "out", until: state.outUntil, cause: state.outCause };
  if (state.breakerUntil > now) return { kind: "broken", until: state.breakerUntil, cause: state.breakerCause };
  if (state.blockedUntil > now) return { kind: "blocked", until: state.blockedUntil, cause: state.blockedCause };
  if (state.breakerOpenings > 0) return { kind: "on_trial", probe: "half_open", resetAt: state.breakerUntil };
  if (state.blockedUntil > triedResetAt) return { kind: "on_trial", probe: "reset", resetAt: state.blockedUntil };
  return free;
}
