import type { AnthropicErrorType } from "#shared/messages/error.ts";
import type { Failure, FailureReason, UpstreamHead } from "../adapter.ts";
import { errorCodeOf, readErrorEnvelope, type ErrorFacts } from "../error-envelope.ts";
import { isEncoded } from "./is-encoded.ts";

/** What was wrong with this whole answer, in which `decode` found neither a Message nor a count. */
export function classify(head: UpstreamHead, body: Buffer): Failure {
  const { status } = head;
  if (status < 300) return classifySuccess(head, body);
  if (status < 400) return broken("unexpected status");
  const envelope = readErrorEnvelope(body);
  if (envelope) return failureOf(status, envelope);
  if (status === 405 || status === 501)
    return { reason: "not_found", status: 404, detail: "no such endpoint", envelope: false };
  return { ...reasonOfStatus(status), status, envelope: false };
}

/** The failure an error document or event of this type stands for, whatever status carried it. */
export function classifyEvent(error: {
  readonly type: string;
  readonly message: string;
  readonly details?: unknown;
}): Failure {
  return failureOf(statusOfType(error.type), {
    type: error.type,
    message: error.message,
    ...errorCodeOf(error.details),
  });
}

export function isStream(head: UpstreamHead): boolean {
  return (
    head.status === 200 &&
    (head.headers["content-type"] ?? "").toLowerCase().startsWith("text/event-stream") &&
    !isEncoded(head)
  );
}

function classifySuccess(head: UpstreamHead, body: Buffer): Failure {
  if (isEncoded(head)) return broken("compressed although identity was asked for");
  const envelope = readErrorEnvelope(body);
  return envelope ? failureOf(statusOfType(envelope.type), envelope) : broken("a success status without an answer");
}

function broken(detail: string): Failure {
  return { reason: "server_error", status: 502, detail, envelope: false };
}

function failureOf(status: number, error: ErrorFacts): Failure {
  const base = {
    status,
    envelope: true,
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
  };
  if (isAccountTrouble(status, error)) return { ...base, reason: "account_exhausted", detail: "account trouble" };
  const refusedBetas = status === 400 ? readRefusedBetas(error.message) : undefined;
  if (refusedBetas) return { ...base, reason: "beta_refused", refusedBetas };
  if (status === 404 && error.errorCode === "thread_not_found") return { ...base, reason: "thread_not_found" };
  return { ...base, ...reasonOfStatus(status) };
}

const accountCodes: ReadonlySet<string> = new Set([
  "organization_on_hold",
  "enforced_spend_limit_reached",
  "contract_spend_limit_reached",
  "linked_organization_billing_unavailable",
  "linked_organization_spend_limit_reached",
]);
/** The texts the API uses where it sends no code: no credit left, or a limit the account set for itself. */
const accountTexts = /credit balance is too low|specified (?:workspace )?API usage limits/i;
/** Types and texts of others who speak the API; texts count only where the status is not about the request. */
const othersAccountTypes: ReadonlySet<string> = new Set([
  "insufficient_balance",
  "insufficient_balance_error",
  "insufficient_quota",
  "exceeded_current_quota_error",
]);
const othersAccountTexts = /insufficient (?:account )?balance|insufficient credits|exceeded your current quota/i;

function isAccountTrouble(status: number, error: ErrorFacts): boolean {
  if (error.errorCode !== undefined && accountCodes.has(error.errorCode)) return true;
  if (othersAccountTypes.has(error.type)) return true;
  if (status === 403 || status === 429)
    return accountTexts.test(error.message) || othersAccountTexts.test(error.message);
  return status === 400 && accountTexts.test(error.message);
}

/** The flags an `invalid beta flag` refusal names, none if it names none; undefined when it is no such refusal. */
function readRefusedBetas(message: string): readonly string[] | undefined {
  if (!/anthropic-beta|invalid beta flag/i.test(message)) return undefined;
  if (!/unexpected value|invalid beta flag/i.test(message)) return undefined;
  return [...message.matchAll(/`([^`]+)`/g)]
    .flatMap((match) => (match[1] ?? "").split(","))
    .map((flag) => flag.trim())
    .filter((flag) => flag !== "" && flag !== "anthropic-beta");
}

const typeStatuses: Readonly<Record<AnthropicErrorType, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  conflict_error: 409,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

/** An unknown type is a server's trouble. */
function statusOfType(type: string): number {
  return Object.hasOwn(typeStatuses, type) ? typeStatuses[type as AnthropicErrorType] : 500;
}

const statusReasons: ReadonlyMap<number, { readonly reason: FailureReason; readonly detail?: string }> = new Map([
  [401, { reason: "credential_refused" }],
  [402, { reason: "account_exhausted" }],
  [403, { reason: "forbidden" }],
  [404, { reason: "not_found" }],
  [408, { reason: "no_status", detail: "request timeout" }],
  [409, { reason: "server_error", detail: "conflict" }],
  [429, { reason: "rate_limited" }],
  [503, { reason: "overloaded" }],
  [504, { reason: "no_status", detail: "gateway timeout" }],
  [529, { reason: "overloaded" }],
]);

function reasonOfStatus(status: number): { readonly reason: FailureReason; readonly detail?: string } {
  const row = statusReasons.get(status);
  if (row) return row;
  return { reason: status >= 500 ? "server_error" : "invalid_request" };
}
