import type { AnthropicErrorType } from "#shared/messages/error.ts";
import type { Failure, FailureReason, UpstreamHead } from "../adapter.ts";
import { classify as classifyMessages } from "../anthropic/classify.ts";
import { readErrorBody, type GoogleError } from "../gemini/error-body.ts";
import { errorAnswer } from "../translate/error-answer.ts";

interface Meaning {
  readonly reason: FailureReason;
  readonly status: number;
  readonly detail?: string;
  /** Set where the platform's words speak of the caller's own request. */
  readonly tells?: AnthropicErrorType;
}

/** Google's canonical codes. */
const meanings: Readonly<Record<string, Meaning>> = {
  INVALID_ARGUMENT: { reason: "invalid_request", status: 400, tells: "invalid_request_error" },
  OUT_OF_RANGE: { reason: "invalid_request", status: 400, tells: "invalid_request_error" },
  // The project has not enabled the model: nothing that the caller could change.
  FAILED_PRECONDITION: { reason: "forbidden", status: 403, detail: "model not enabled in the project" },
  UNAUTHENTICATED: { reason: "credential_refused", status: 401 },
  PERMISSION_DENIED: { reason: "forbidden", status: 403 },
  NOT_FOUND: { reason: "not_found", status: 404 },
  RESOURCE_EXHAUSTED: { reason: "rate_limited", status: 429 },
  ABORTED: { reason: "server_error", status: 409, detail: "aborted" },
  CANCELLED: { reason: "server_error", status: 500, detail: "cancelled" },
  INTERNAL: { reason: "server_error", status: 500 },
  UNKNOWN: { reason: "server_error", status: 500 },
  UNAVAILABLE: { reason: "overloaded", status: 529 },
  DEADLINE_EXCEEDED: { reason: "no_status", status: 504, detail: "deadline exceeded" },
};

/** The model's own errors are the Messages API's, the platform's are Google's, sometimes in an array of one, even in a 200. */
export function classify(head: UpstreamHead, body: Buffer): Failure {
  const own = classifyMessages(head, body);
  const error = own.envelope ? undefined : readErrorBody(body);
  const meaning = error && (billingMeaning(error) ?? meaningOf(error));
  if (!error || !meaning) return own;
  const retryAt = retryAtOf(head, error);
  const { reason, status, detail, tells } = meaning;
  return {
    reason,
    status,
    envelope: false,
    ...(detail === undefined ? {} : { detail }),
    ...(tells === undefined ? {} : { answer: errorAnswer({ type: tells, message: error.message }) }),
    ...(retryAt === undefined ? {} : { retryAt }),
  };
}

function meaningOf({ status }: GoogleError): Meaning | undefined {
  return Object.hasOwn(meanings, status) ? meanings[status] : undefined;
}

function billingMeaning({ reason, status, message }: GoogleError): Meaning | undefined {
  const isBilling = reason === "BILLING_DISABLED" || (status === "PERMISSION_DENIED" && /\bbilling\b/i.test(message));
  return isBilling ? { reason: "account_exhausted", status: 402, detail: "account trouble" } : undefined;
}

/** What `RetryInfo` says, counted from the time that the answer itself gives. */
function retryAtOf(head: UpstreamHead, { retryDelayMs }: GoogleError): number | undefined {
  const at = Date.parse(head.headers["date"] ?? "");
  return retryDelayMs === undefined || Number.isNaN(at) ? undefined : at + retryDelayMs;
}
