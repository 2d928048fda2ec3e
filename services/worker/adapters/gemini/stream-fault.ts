import type { AnthropicErrorType } from "#shared/messages/error.ts";
import type { Failure, FailureReason } from "../adapter.ts";
import { isFields } from "../translate/reading.ts";
import { answerOf, judge, statusOf } from "./classify.ts";
import type { GoogleError } from "./error-body.ts";
import type { Finish } from "./finish.ts";

/** What an `error` event of a stream says. */
export interface StreamFault {
  readonly type: AnthropicErrorType;
  readonly message: string;
  /** For the engine, in a stream of which nothing has been sent. */
  readonly details?: { readonly retry_delay_ms: number };
}

interface Row {
  readonly type: AnthropicErrorType;
  readonly reason: FailureReason;
  readonly status: number;
  /** True when it is about the gateway's account: no caller is told. */
  readonly inner?: true;
}

const rows: readonly Row[] = [
  { type: "rate_limit_error", reason: "rate_limited", status: 429 },
  { type: "overloaded_error", reason: "overloaded", status: 529 },
  { type: "timeout_error", reason: "no_status", status: 504 },
  { type: "invalid_request_error", reason: "invalid_request", status: 400 },
  { type: "billing_error", reason: "account_exhausted", status: 402, inner: true },
  { type: "authentication_error", reason: "credential_refused", status: 401, inner: true },
  { type: "permission_error", reason: "forbidden", status: 403, inner: true },
  { type: "not_found_error", reason: "not_found", status: 404, inner: true },
];

export const unreadableFault: StreamFault = {
  type: "api_error",
  message: "The provider sent something that is no answer.",
};

/** Gemini's own end of an answer that is none. */
export function faultOfFinish({ reason }: Finish): StreamFault {
  return { type: "api_error", message: `The model ended without an answer: ${reason.slice(0, 40)}.` };
}

/** @param hasBegun whether the event may reach the caller, as `message_start` went before it */
export function faultOfError(error: GoogleError, hasBegun: boolean): StreamFault {
  const status = statusOf(error);
  const { reason, retryAt } = judge(error, status, 0);
  const row = rows.find((candidate) => candidate.reason === reason && !(candidate.inner && hasBegun));
  const message = answerOf(reason, error, status)?.message ?? "The provider ended the answer with an error.";
  const details = retryAt === undefined || hasBegun ? {} : { details: { retry_delay_ms: retryAt } };
  return { type: row?.type ?? "api_error", message, ...details };
}

/** The failure behind an `error` event that our own decoder made. */
export function classifyEvent(error: { readonly type: string; readonly details?: unknown }, now = Date.now()): Failure {
  const row = rows.find(({ type }) => type === error.type);
  const delayMs = isFields(error.details) ? error.details["retry_delay_ms"] : undefined;
  return {
    reason: row?.reason ?? "server_error",
    status: row?.status ?? 500,
    envelope: false,
    ...(typeof delayMs === "number" ? { retryAt: now + delayMs } : {}),
  };
}
