import { GatewayError } from "#shared/messages/error.ts";
import type { AttemptReason } from "#shared/messages/outcome.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { CallRun } from "./call-run.ts";
import { findObstacles, type Obstacles, type PickDeps } from "./pick-target.ts";

/** What a call comes to. */
export type Verdict =
  /** An attempt's own answer goes to the caller: a success, or a failure as it came. */
  | { readonly kind: "delivered"; readonly target: PlannedTarget; readonly end: AttemptEnd }
  /** Our word; `as` is the provider's answer whose body may stand for it. */
  | {
      readonly kind: "refused";
      readonly error: GatewayError;
      readonly as?: AttemptEnd;
      readonly blockedUntil?: number;
      readonly stoodBack?: true;
    }
  | { readonly kind: "cancelled" };

const longestOverloadedS = 30;
const busyWords = "Interactive calls use all that the providers for this model take at the moment.";
/** A wait of more than this is not for an SDK to sleep through. */
const longestRetryAfterS = 60;

/** The call's end when no target is left to ask: what is most useful to the caller, retrying included. */
export function conclude(run: CallRun, deps: PickDeps): Verdict {
  const obstacles = findObstacles(run, deps);
  const ends = [...run.ends].toReversed();
  const endWith: FindEnd = (...reasons) => ends.find(([, end]) => reasons.includes(end.reason));
  if (run.head.thread?.type === "continue" && isUnreachable(obstacles, endWith)) return threadLost();
  if (obstacles.blockedUntil !== undefined) return blocked(run, obstacles, endWith("rate_limited")?.[1]);
  const failing = endWith("overloaded", "connect_failed");
  if (failing || obstacles.brokenUntil !== undefined) return overloaded(obstacles, failing?.[1]);
  return concludeByAnswers(run, obstacles, endWith);
}

type FindEnd = (...reasons: AttemptReason[]) => readonly [PlannedTarget, AttemptEnd] | undefined;

function concludeByAnswers(run: CallRun, obstacles: Obstacles, endWith: FindEnd): Verdict {
  const answered = endWith("server_error", "stream_error") ?? endWith("not_found", "forbidden");
  if (answered) return { kind: "delivered", target: answered[0], end: answered[1] };
  if (obstacles.isAnyOut || endWith("credential_refused", "account_exhausted", "no_credential"))
    return accountRefused();
  // Every target was left because of what the caller asks; the first one says what.
  const refusal = [...run.ends.values()].find((end) => end.refusal !== undefined)?.refusal;
  if (refusal) return { kind: "refused", error: refusal };
  return { kind: "refused", error: new GatewayError("internal", "No provider could be asked.") };
}

/** The call's end after an attempt that nothing may follow, or at its deadline. */
export function concludeStop(run: CallRun, reason: AttemptReason, end?: AttemptEnd): Verdict {
  if (reason === "cancelled") return { kind: "cancelled" };
  const as = end === undefined ? {} : { as: end };
  if (reason === "reset" || reason === "stream_cut") {
    const words = "The provider closed the connection before it answered.";
    // Where we may not send twice, the caller's client should not either.
    const retry = run.rerunUsed ? {} : { shouldRetry: false };
    return { kind: "refused", error: new GatewayError("overloaded", words, { retryAfterS: 1, ...retry }) };
  }
  if (reason === "worker_lost") {
    const words = "The process that was asking a provider was lost.";
    return { kind: "refused", error: new GatewayError("internal", words, { shouldRetry: false }) };
  }
  const wasAsked = run.isUnanswered || run.attempts.some((attempt) => attempt.status !== undefined);
  const error = new GatewayError(
    "timed_out",
    wasAsked ? "The provider did not answer in time." : "The time for this call is up.",
    wasAsked ? { shouldRetry: false } : {},
  );
  return { kind: "refused", error, ...as };
}

/** A thread lives on one target: where that is not to be had, its client begins anew with the whole conversation. */
function isUnreachable(obstacles: Obstacles, endWith: FindEnd): boolean {
  if (obstacles.blockedUntil !== undefined || obstacles.brokenUntil !== undefined || obstacles.isAnyOut) return true;
  return endWith("connect_failed", "credential_refused", "account_exhausted", "no_credential") !== undefined;
}

function threadLost(): Verdict {
  const details = { error_code: "thread_not_found" };
  return {
    kind: "refused",
    error: new GatewayError("not_found", "The thread is not available. Send the whole conversation.", { details }),
  };
}

function blocked(run: CallRun, obstacles: Obstacles, as: AttemptEnd | undefined): Verdict {
  const until = Math.min(
    obstacles.blockedUntil ?? Number.POSITIVE_INFINITY,
    obstacles.brokenUntil ?? Number.POSITIVE_INFINITY,
  );
  const retryAfterS = Math.max(1, Math.ceil((until - Date.now()) / 1000));
  const words = obstacles.standsBack ? busyWords : "Every provider for this model is rate limited at the moment.";
  const error = new GatewayError("rate_limited", words, {
    retryAfterS,
    ...(retryAfterS > longestRetryAfterS ? { shouldRetry: false } : {}),
  });
  return {
    kind: "refused",
    error,
    ...(as ? { as } : {}),
    // Opened again from the start, the call would forget that a provider may be working on it.
    ...(run.isUnanswered ? {} : { blockedUntil: until }),
    ...(obstacles.standsBack ? { stoodBack: true } : {}),
  };
}

function overloaded(obstacles: Obstacles, as: AttemptEnd | undefined): Verdict {
  const hintedS = Number(as?.headers?.["retry-after"] ?? "1");
  const leftS = obstacles.brokenUntil === undefined ? hintedS : (obstacles.brokenUntil - Date.now()) / 1000;
  const error = new GatewayError("overloaded", "Every provider for this model is overloaded or unreachable.", {
    retryAfterS: Math.min(longestOverloadedS, Math.max(1, Math.ceil(leftS) || 1)),
  });
  return { kind: "refused", error, ...(as ? { as } : {}) };
}

/** Says nothing of which account or why: that is the operator's business. */
function accountRefused(): Verdict {
  const words = "This gateway cannot use its provider accounts for this model at the moment. Its operator has to act.";
  return { kind: "refused", error: new GatewayError("upstream_refused", words, { shouldRetry: false }) };
}
