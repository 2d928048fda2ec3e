import type { Attempt } from "#shared/messages/outcome.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { CallRun } from "./call-run.ts";
import { causeOf } from "./cause-of.ts";
import { healthMark } from "./decide-next.ts";
import type { EngineDeps } from "./engine-deps.ts";
import type { Probe } from "./probe.ts";
import { limitTarget } from "./target-key.ts";

export interface MadeAttempt {
  readonly target: PlannedTarget;
  readonly end: AttemptEnd;
  readonly isRerun: boolean;
  /** The target refused a credential and will be asked with another one. */
  readonly isRenewed: boolean;
  readonly probe?: Probe | undefined;
}

/** Writes an attempt's end wherever it must be known: the trace, the metrics, limits, breaker and lease. */
export function noteEnd(made: MadeAttempt, run: CallRun, deps: EngineDeps): void {
  const { target, end } = made;
  run.attempts.push(toAttempt(made));
  run.ends.set(target, end);
  if (isUnanswered(end)) run.isUnanswered = true;
  deps.attemptMetrics.attempt(target, end);
  markLimits(made, run, deps);
  markHealth(made, run, deps);
  settleProbe(made);
}

/** A provider may be working on the call, or has worked on it, and nobody will hear what came of it. */
function isUnanswered(end: AttemptEnd): boolean {
  if (!end.sent || end.begun) return false;
  return ["reset", "no_status", "idle", "stream_cut", "timed_out"].includes(end.reason);
}

/** A status of 2xx says nothing about an attempt that failed after it. */
function failedStatus(end: AttemptEnd): number | undefined {
  return end.status !== undefined && end.status >= 300 ? end.status : undefined;
}

function toAttempt({ target, end, isRerun }: MadeAttempt): Attempt {
  return {
    provider: target.provider,
    model: target.model,
    startedAt: end.startedAt,
    endedAt: end.endedAt,
    reason: end.reason,
    ...(end.statusAt === undefined ? {} : { statusAt: end.statusAt }),
    ...(end.status === undefined ? {} : { status: end.status }),
    ...(end.detail === undefined ? {} : { detail: end.detail }),
    ...(end.upstreamRequestId === undefined ? {} : { upstreamRequestId: end.upstreamRequestId }),
    ...(isRerun ? { rerun: true } : {}),
  };
}

function markHealth({ target, end }: MadeAttempt, run: CallRun, { breaker }: EngineDeps): void {
  const mark = healthMark(end.reason, end.failure?.status ?? failedStatus(end));
  if (mark === "none") return;
  const limited = limitTarget(target, run.head.operation);
  if (mark === "success") breaker.succeeded(limited);
  else breaker.failed(limited, mark, { body: run.body, end });
}

function markLimits({ target, end, isRenewed }: MadeAttempt, run: CallRun, { limits, troubleLog }: EngineDeps): void {
  const limited = limitTarget(target, run.head.operation);
  if (end.reason === "ok") {
    limits.succeeded(limited);
    troubleLog.succeeded(limited);
  } else if (end.reason === "rate_limited") limits.limited(limited, end);
  else if (end.reason === "credential_refused" && !isRenewed) limits.credentialRefused(limited, end);
  else if (end.reason === "account_exhausted") limits.accountExhausted(target, end);
  else if (end.reason === "no_credential") troubleLog.noted(limited, causeOf(end));
}

function settleProbe({ probe, end }: MadeAttempt): void {
  if (!probe) return;
  if (end.reason === "ok") probe.passed();
  else probe.end();
}
