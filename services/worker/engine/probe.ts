import type { Target } from "#shared/routing/catalogue.ts";
import type { TargetBoard } from "#shared/store/target-board.ts";
import { targetKey } from "./target-key.ts";

/** Leases on targets that were blocked or broken: one call goes first. */
export interface Probes {
  /** The latest reset of the target that one call has tried; 0 if none. */
  triedResetAt(target: Target): number;
  /** Takes the lease; undefined when another call has it. */
  take(target: Target, kind: ProbeKind, resetAt: number): Promise<Probe | undefined>;
  /** Whether one more call may start on a target that has perhaps just reset; a yes is counted. */
  mayStart(target: Target, now: number): boolean;
}

export type ProbeKind = "reset" | "half_open";

export interface Probe {
  readonly kind: ProbeKind;
  readonly target: Target;
  /** No 429 came: the others may follow. */
  passed(): void;
  /** Gives the lease back, passed or not. Twice is harmless. */
  end(): void;
}

/** How long a lease is held at most; a reset's probe passes after `quietMs` without a 429 anyway. */
export const probeHoldMs: Readonly<Record<ProbeKind, number>> = { reset: 1_000, half_open: 30_000 };
const quietMs = 750;
/** After a reset the calls of this process start in growing steps: 4, 8, 16 … per step, free after ten. */
export const rampStepMs = 100;
const rampSteps = 10;
const rampFirst = 4;

interface Ramp {
  readonly resetAt: number;
  readonly startedAt: number;
  begun: number;
}

export function createProbes(board: TargetBoard): Probes {
  const tried = new Map<string, Ramp>();
  return {
    triedResetAt: (target) => (tried.size === 0 ? 0 : (tried.get(targetKey(target))?.resetAt ?? 0)),
    async take(target, kind, resetAt) {
      if (!(await board.takeProbe(target, probeHoldMs[kind]))) return undefined;
      return startProbe({ target, kind }, board, () => {
        if (kind === "reset") tried.set(targetKey(target), { resetAt, startedAt: Date.now(), begun: 0 });
      });
    },
    mayStart: (target, now) => {
      if (tried.size === 0) return true;
      const ramp = tried.get(targetKey(target));
      return ramp === undefined || enterRamp(ramp, now);
    },
  };
}

function startProbe(
  probe: { readonly target: Target; readonly kind: ProbeKind },
  board: TargetBoard,
  onPassed: () => void,
): Probe {
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    board.endProbe(probe.target);
  };
  const pass = (): void => {
    if (over) return;
    onPassed();
    end();
  };
  const timer = probe.kind === "reset" ? setTimeout(pass, quietMs).unref() : undefined;
  return { ...probe, passed: pass, end };
}

function enterRamp(ramp: Ramp, now: number): boolean {
  const step = Math.floor((now - ramp.startedAt) / rampStepMs);
  if (step >= rampSteps) return true;
  if (ramp.begun >= rampFirst * 2 ** step) return false;
  ramp.begun += 1;
  return true;
}
