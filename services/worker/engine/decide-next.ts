import type { AttemptReason } from "#shared/messages/outcome.ts";

/** What the engine does after an attempt. */
export type NextMove =
  /** The attempt's answer is the call's answer: a success, or the caller's own doing as it came. */
  | "deliver"
  /** The same target once more, after a back-off. */
  | "retry_same"
  /** The same target at once, without the beta flags it refused. */
  | "retry_without_betas"
  /** The same target at once, with another credential than the one it refused. */
  | "retry_renewed"
  /** Once more although the provider may have worked on it; on the next target if there is one, else on the same. */
  | "rerun"
  /** The next target, which costs nothing. */
  | "next"
  /** No more attempts. */
  | "stop";

export interface Situation {
  readonly reason: AttemptReason;
  /** Whether a byte may have reached the provider. */
  readonly sent: boolean;
  /** Whether bytes of a stream went to the caller. */
  readonly begun: boolean;
  /** How often this target has been retried in this call after it answered with a failure. */
  readonly retriesHere: number;
  /** Whether a sent but unanswered attempt was already repeated, by this worker or a lost one. */
  readonly rerunUsed: boolean;
  /** Whether the request can still be made smaller by the flags that were refused. */
  readonly betasToDrop: boolean;
  /** Whether another credential can be had than the one that was refused, and was not tried in this call yet. */
  readonly credentialRenewed: boolean;
}

export interface EngineRules {
  readonly rerunSent: boolean;
  readonly sameTargetRetries: number;
}

/** What an attempt's end says about its target's health. */
export type HealthMark = "success" | "connect_failure" | "failure" | "none";

interface Row {
  /** What the reason asks for, before any limit on it. */
  readonly next: NextMove;
  readonly health: HealthMark;
}

const rows: Readonly<Record<AttemptReason, Row>> = {
  ok: { next: "deliver", health: "success" },
  rate_limited: { next: "next", health: "none" },
  overloaded: { next: "retry_same", health: "failure" },
  server_error: { next: "retry_same", health: "failure" },
  connect_failed: { next: "next", health: "connect_failure" },
  reset: { next: "rerun", health: "failure" },
  no_status: { next: "rerun", health: "failure" },
  idle: { next: "rerun", health: "none" },
  stream_error: { next: "retry_same", health: "failure" },
  stream_cut: { next: "rerun", health: "failure" },
  credential_refused: { next: "retry_renewed", health: "none" },
  no_credential: { next: "next", health: "none" },
  account_exhausted: { next: "next", health: "none" },
  not_found: { next: "next", health: "none" },
  forbidden: { next: "next", health: "none" },
  invalid_request: { next: "deliver", health: "none" },
  beta_refused: { next: "retry_without_betas", health: "none" },
  thread_not_found: { next: "deliver", health: "none" },
  worker_lost: { next: "rerun", health: "none" },
  cancelled: { next: "stop", health: "none" },
  timed_out: { next: "stop", health: "none" },
};

/** What bounds a move, and what follows where it is not made. */
interface Limit {
  readonly allows: (situation: Situation, rules: EngineRules) => boolean;
  readonly otherwise: NextMove;
}

const limits: { readonly [Move in NextMove]?: Limit } = {
  retry_same: { allows: ({ retriesHere }, rules) => retriesHere < rules.sameTargetRetries, otherwise: "next" },
  retry_renewed: { allows: ({ credentialRenewed }) => credentialRenewed, otherwise: "next" },
  retry_without_betas: { allows: ({ betasToDrop }) => betasToDrop, otherwise: "deliver" },
  rerun: { allows: ({ rerunUsed }, { rerunSent }) => rerunSent && !rerunUsed, otherwise: "stop" },
};

/** The one place that decides on retry, failover and giving up. Pure. */
export function decideNext(situation: Situation, rules: EngineRules): NextMove {
  if (situation.begun) return "deliver";
  // What one target's wire cannot say, another's may.
  if (situation.reason === "invalid_request" && !situation.sent) return "next";
  const { next } = rows[situation.reason];
  const limit = limits[next];
  return limit === undefined || limit.allows(situation, rules) ? next : limit.otherwise;
}

/** 4xx and 429 neither count nor reset; 408 and 409 are 4xx too. */
export function healthMark(reason: AttemptReason, status: number | undefined): HealthMark {
  return status !== undefined && status >= 400 && status < 500 ? "none" : rows[reason].health;
}
