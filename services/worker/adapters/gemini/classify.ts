import type { AnthropicErrorType } from "#shared/messages/error.ts";
import type { Failure, FailureReason, UpstreamHead } from "../adapter.ts";
import { errorAnswer } from "../translate/error-answer.ts";
import { isFields } from "../translate/reading.ts";
import { readResponses } from "./decode.ts";
import { readErrorBody, type GoogleError } from "./error-body.ts";
import { readFinish, type Finish } from "./finish.ts";

/**
 * What was wrong with this whole answer, in which `decode` found neither a Message nor a count.
 * @param now milliseconds since the epoch: quotas tell when to come back in seconds from now
 */
export function classify(head: UpstreamHead, body: Buffer, now = Date.now()): Failure {
  const error = readErrorBody(body);
  if (error) return failureOf(error, { status: head.status, now });
  if (head.status >= 400) return { ...reasonOfStatus(head.status), status: head.status, envelope: false };
  if (head.status >= 300) return broken("unexpected status");
  const finish = readResponses(body)
    ?.map(finishOf)
    .findLast((found) => found !== undefined);
  return broken(finish ? `finish ${finish.reason.toLowerCase().slice(0, 40)}` : "a success status without an answer");
}

export function isStream(head: UpstreamHead): boolean {
  const encoding = (head.headers["content-encoding"] ?? "identity").toLowerCase();
  const type = (head.headers["content-type"] ?? "").toLowerCase();
  return head.status === 200 && type.startsWith("text/event-stream") && (encoding === "identity" || encoding === "");
}

function finishOf(response: Readonly<Record<string, unknown>>): Finish | undefined {
  const { candidates, promptFeedback } = response;
  return readFinish(Array.isArray(candidates) ? candidates.find(isFields) : undefined, promptFeedback);
}

function broken(detail: string): Failure {
  return { reason: "server_error", status: 502, detail, envelope: false };
}

interface Verdict {
  readonly reason: FailureReason;
  readonly detail?: string;
}

function failureOf(error: GoogleError, { status, now }: { readonly status: number; readonly now: number }): Failure {
  const counted = status >= 400 ? status : statusOf(error);
  const { retryAt, ...verdict } = judge(error, counted, now);
  const answer = answerOf(verdict.reason, error, counted);
  return {
    ...verdict,
    status: counted,
    envelope: false,
    ...(retryAt === undefined ? {} : { retryAt }),
    ...(answer ? { answer: errorAnswer(answer) } : {}),
  };
}

export function judge(error: GoogleError, status: number, now: number): Verdict & { readonly retryAt?: number } {
  const account = accountTrouble(error, status);
  if (account) return account;
  if (status !== 429) return reasonOfStatus(status);
  const { retryDelayMs, quotas } = error;
  // Some accounts have none of a model at all: no waiting helps, and their other models go on.
  if (quotas.some(({ value }) => value === "0")) return { reason: "forbidden", detail: "no quota for this model" };
  // The delay beside a quota of a day is that of the minute.
  if (quotas.some(({ id }) => /per_?day/i.test(id)))
    return { reason: "rate_limited", detail: "quota of the day", retryAt: now + dayQuotaMs };
  return { reason: "rate_limited", ...(retryDelayMs ? { retryAt: now + retryDelayMs } : {}) };
}

/** A quota of the day is full again at midnight in California, or when somebody raises it: asked for once an hour. */
const dayQuotaMs = 60 * 60 * 1000;

const credentialReasons =
  /^(?:API_KEY_|ACCESS_TOKEN_|CREDENTIALS_MISSING|ACCOUNT_STATE_INVALID|SESSION_COOKIE|SERVICE_ACCOUNT_)/;
const accountReasons = /^(?:BILLING_|CONSUMER_SUSPENDED|CONSUMER_INVALID|ACCOUNT_SUSPENDED)/;
/** The texts that come without a reason of their own. */
const spentTexts =
  /prepa(?:y|id)\w* credits|spend(?:ing)? (?:cap|limit)|enable billing|billing account[^.]{0,80} disabled/i;
const placeTexts = /user location is not supported|project\W[^.]{0,80} is not allowed to use/i;

/** What is wrong with the gateway's own account or key, whatever status carries it. */
function accountTrouble({ reason, message, status: name }: GoogleError, status: number): Verdict | undefined {
  if (status >= 500 || status === 404) return undefined;
  if (credentialReasons.test(reason)) return { reason: "credential_refused" };
  if (accountReasons.test(reason)) return { reason: "account_exhausted", detail: "account trouble" };
  // What is said of a bad argument may quote the caller, who must not be able to take an account out of use.
  if (status === 400 && name !== "FAILED_PRECONDITION") return undefined;
  if (spentTexts.test(message)) return { reason: "account_exhausted", detail: "account trouble" };
  if (placeTexts.test(message)) return { reason: "forbidden", detail: "not served to the gateway's account" };
  return undefined;
}

const statuses: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  UNKNOWN: 500,
  INTERNAL: 500,
  DATA_LOSS: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

export function statusOf({ status, code }: GoogleError): number {
  const named = Object.hasOwn(statuses, status) ? statuses[status] : undefined;
  return named ?? (code >= 400 && code < 600 ? code : 500);
}

const reasons: ReadonlyMap<number, Verdict> = new Map<number, Verdict>([
  [401, { reason: "credential_refused" }],
  [402, { reason: "account_exhausted" }],
  [403, { reason: "forbidden" }],
  [404, { reason: "not_found" }],
  [408, { reason: "no_status", detail: "request timeout" }],
  [409, { reason: "server_error", detail: "conflict" }],
  [429, { reason: "rate_limited" }],
  [499, { reason: "server_error", detail: "cancelled by the provider" }],
  [503, { reason: "overloaded" }],
  [504, { reason: "no_status", detail: "deadline of the provider" }],
  [529, { reason: "overloaded" }],
]);

function reasonOfStatus(status: number): Verdict {
  return reasons.get(status) ?? { reason: status >= 500 ? "server_error" : "invalid_request" };
}

interface CallerError {
  readonly type: AnthropicErrorType;
  readonly message: string;
}

/** What the caller is told of what is the caller's doing. What is said of a missing model names the gateway's project. */
export function answerOf(reason: FailureReason, error: GoogleError, status: number): CallerError | undefined {
  if (reason === "not_found") return { type: "not_found_error", message: "The provider does not have this model." };
  if (reason !== "invalid_request") return undefined;
  const message = error.message.slice(0, 2000).replaceAll(/projects\/[\w-]+/g, "projects/-");
  const [, counted, most] =
    /token count (?:of )?\(?(\d+)\)? exceeds the maximum.*?\(?(\d+)\)?\.?$/is.exec(message) ?? [];
  if (counted !== undefined)
    return { type: "invalid_request_error", message: `prompt is too long: ${counted} tokens > ${most} maximum` };
  if (status === 413 || /payload size exceeds/i.test(message)) return { type: "request_too_large", message };
  return { type: "invalid_request_error", message: message || "The provider refused the request." };
}
