import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { TargetBoard } from "#shared/store/target-board.ts";
import { describeCause } from "#shared/store/target-cause.ts";
import { availabilityOf, free, type Availability } from "./availability.ts";
import { noteOnce, type CallRun } from "./call-run.ts";
import type { Paces } from "./pace.ts";
import { probeHoldMs, rampStepMs, type Probe, type Probes } from "./probe.ts";
import { limitTarget } from "./target-key.ts";

export interface PickDeps {
  readonly board: TargetBoard;
  readonly probes: Probes;
  readonly paces: Paces;
}

/** Background work that finds no room asks again after this. */
const standBackMs = 500;

export interface Picked {
  readonly target: PlannedTarget;
  readonly probe?: Probe;
}

/**
 * The first target in the plan's order that may be asked now, `preferred` before all others; undefined when there is
 * none. Only a target on trial makes it wait, for the lease.
 */
export async function pickTarget(
  run: CallRun,
  preferred: PlannedTarget | undefined,
  deps: PickDeps,
): Promise<Picked | undefined> {
  const order = preferred ? [preferred, ...run.targets.filter((target) => target !== preferred)] : run.targets;
  for (const target of order) {
    if (run.struck.has(target)) continue;
    const state = availability(run, target, deps);
    if (state.kind !== "free") noteOnce(run, describeState(target, state));
    if (target !== preferred && mustStandBack(run, target, deps)) continue;
    if (state.kind === "free" && mayStart(run, target, deps)) return { target };
    if (state.kind !== "on_trial") continue;
    const probe = await deps.probes.take(limitTarget(target, run.head.operation), state.probe, state.resetAt);
    if (probe) return { target, probe };
  }
  return undefined;
}

/** For the trace: why a target was left out and until when, or that it was on trial. */
function describeState(
  { provider, model }: PlannedTarget,
  state: Exclude<Availability, { readonly kind: "free" }>,
): string {
  if (state.kind === "on_trial") return `plan: ${provider} on trial`;
  const { kind, until, cause } = state;
  const why = cause === undefined ? "" : `: ${describeCause(cause)}`;
  return `plan: ${provider} ${model} ${kind} until ${new Date(until).toISOString()}${why}`;
}

/** The same without a promise, for the usual case: the first target is free and nothing is on trial. */
export function pickFreeTarget(run: CallRun, deps: PickDeps): PlannedTarget | undefined {
  const target = run.targets[0];
  if (!target || run.struck.has(target) || availability(run, target, deps) !== free) return undefined;
  return !mustStandBack(run, target, deps) && mayStart(run, target, deps) ? target : undefined;
}

/**
 * Whether interactive calls leave nothing of the target for this one. Only for background work, and not for what a
 * provider may be working on already.
 */
function mustStandBack(run: CallRun, target: PlannedTarget, { paces }: PickDeps): boolean {
  if (run.head.priority !== "background" || run.isUnanswered) return false;
  return !paces.of(target).hasRoom(Date.now());
}

export function availability(run: CallRun, target: PlannedTarget, deps: PickDeps): Availability {
  const limited = limitTarget(target, run.head.operation);
  const state = deps.board.state(limited.provider, limited.model);
  return availabilityOf(state, Date.now(), deps.probes.triedResetAt(limited));
}

/** What stands in the way of the call: why its targets cannot be asked, and when the first can. */
export interface Obstacles {
  /** Soonest end of a limit, a trial or a ramp's step. */
  readonly blockedUntil: number | undefined;
  /** Soonest half-open breaker. */
  readonly brokenUntil: number | undefined;
  readonly isAnyOut: boolean;
  /** A target is free but for the interactive calls that it is kept for. */
  readonly standsBack: boolean;
}

/** Looks at every target, those already tried too: a limit that one of them has told us counts. */
export function findObstacles(run: CallRun, deps: PickDeps): Obstacles {
  let blockedUntil = Number.POSITIVE_INFINITY;
  let brokenUntil = Number.POSITIVE_INFINITY;
  let isAnyOut = false;
  let standsBack = false;
  for (const target of run.targets) {
    const isStruck = run.struck.has(target);
    const state = availability(run, target, deps);
    if (!isStruck && (state.kind === "free" || state.kind === "on_trial") && mustStandBack(run, target, deps)) {
      standsBack = true;
      blockedUntil = Math.min(blockedUntil, Date.now() + standBackMs);
      continue;
    }
    const obstacle = obstacleOf(state, isStruck);
    if (obstacle.kind === "out") isAnyOut = true;
    if (obstacle.kind === "blocked") blockedUntil = Math.min(blockedUntil, obstacle.until);
    if (obstacle.kind === "broken") brokenUntil = Math.min(brokenUntil, obstacle.until);
  }
  return { blockedUntil: finite(blockedUntil), brokenUntil: finite(brokenUntil), isAnyOut, standsBack };
}

function obstacleOf(state: Availability, isStruck: boolean): { readonly kind: string; readonly until: number } {
  if (state.kind === "out" || state.kind === "blocked" || state.kind === "broken") return state;
  if (isStruck) return { kind: "asked", until: 0 };
  // Free and not asked: it has just reset, and its ramp is full for now. On trial and not asked: another call tries it.
  if (state.kind === "free") return { kind: "blocked", until: Date.now() + rampStepMs };
  return { kind: state.probe === "reset" ? "blocked" : "broken", until: Date.now() + probeHoldMs.reset };
}

function finite(at: number): number | undefined {
  return Number.isFinite(at) ? at : undefined;
}

function mayStart(run: CallRun, target: PlannedTarget, deps: PickDeps): boolean {
  return deps.probes.mayStart(limitTarget(target, run.head.operation), Date.now());
}
