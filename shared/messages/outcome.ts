import type { ErrorCode } from "./error.ts";
import type { Usage } from "./usage.ts";

/** Why an attempt ended as it did; the closed set of the trace and of the `reason` label. */
export const attemptReasons = [
  "ok",
  "rate_limited",
  "overloaded",
  "server_error",
  "connect_failed",
  "reset",
  "no_status",
  "idle",
  "stream_error",
  "stream_cut",
  "credential_refused",
  "no_credential",
  "account_exhausted",
  "not_found",
  "forbidden",
  "invalid_request",
  "beta_refused",
  "thread_not_found",
  "worker_lost",
  "cancelled",
  "timed_out",
] as const;
export type AttemptReason = (typeof attemptReasons)[number];

/** One HTTP exchange with a target. Times are milliseconds since the epoch. */
export interface Attempt {
  readonly provider: string;
  /** Upstream model id. */
  readonly model: string;
  readonly startedAt: number;
  /** When the status line came. */
  readonly statusAt?: number;
  readonly endedAt: number;
  readonly status?: number;
  readonly reason: AttemptReason;
  /** A short phrase of ours about the reason; never upstream text that may quote a prompt. */
  readonly detail?: string;
  readonly upstreamRequestId?: string;
  /** True when the attempt repeats one that was sent but never answered. */
  readonly rerun?: true;
}

/** A time the call stood still. */
export interface Wait {
  readonly kind: "queue" | "capacity" | "probe" | "backoff";
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What is known of a call once it ended, apart from its answer's bytes. */
export interface CallFacts {
  /** `ok`, our own code, or `upstream` for a provider's 4xx that was passed on as it came. */
  readonly code: "ok" | "upstream" | ErrorCode;
  readonly provider?: string;
  readonly model?: string;
  readonly usage?: Usage;
  readonly attempts: readonly Attempt[];
  readonly waits: readonly Wait[];
  /** Remarks such as `redis_away`, `affinity_kept`, `plan: vertex-eu on trial`. */
  readonly notes: readonly string[];
}

/** How a whole answer or a count ended, or a stream of which nothing was sent. */
export interface Outcome extends CallFacts {
  readonly status: number;
  /** Lower-case names; only those that design.md lets through, content-type included. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /**
   * Milliseconds since the epoch. Set when no provider was asked because every target is limited until then: the
   * owner of the call may open it again at that time, or give this outcome's answer.
   */
  readonly blockedUntil?: number;
  /** Beside `blockedUntil`: there are targets free, but what they take is left to interactive calls. */
  readonly stoodBack?: true;
}

/** The beginning of a streamed answer. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly provider: string;
  readonly model: string;
  readonly attempts: number;
}

/** How a stream that had begun ended. `complete` is the only success. */
export interface StreamTrailer extends CallFacts {
  readonly end: "complete" | "error_event" | "cut";
}

/** The time a call stood still for want of capacity; back-off between attempts is not of it. */
export function waitedMs(waits: readonly Wait[]): number {
  let ms = 0;
  for (const wait of waits) if (wait.kind !== "backoff") ms += wait.endedAt - wait.startedAt;
  return ms;
}
