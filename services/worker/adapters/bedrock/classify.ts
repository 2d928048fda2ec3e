import type { Failure, UpstreamHead } from "../adapter.ts";
import { classify as classifyMessages, classifyEvent as classifyMessagesEvent } from "../anthropic/classify.ts";
import { errorAnswer } from "../translate/error-answer.ts";
import { readAwsError, type AwsError } from "./aws-error.ts";
import { brokenFrameDetail } from "./broken-frame.ts";
import { callerWords, meaningOf, type ExceptionMeaning } from "./exceptions.ts";

const eventStreamType = "application/vnd.amazon.eventstream";

/** An exception in our terms; what is none, a proxy's page above all, by its status. */
export function classify(head: UpstreamHead, body: Buffer): Failure {
  const error = head.status >= 300 ? readAwsError(head, body) : undefined;
  const known = error && (specialMeaning(error) ?? meaningOf(error.type));
  if (!error || !known) return { ...classifyMessages(head, body), envelope: false };
  const retryAt = isOfTheDay(error) ? laterThan(head, dailyPauseMs) : undefined;
  return {
    ...failureOf(known, error.message),
    ...(isBetaRefusal(error) ? { reason: "beta_refused", refusedBetas: [] } : {}),
    ...(retryAt === undefined ? {} : { retryAt, detail: "quota of the day" }),
  };
}

export function classifyEvent(error: Parameters<typeof classifyMessagesEvent>[0]): Failure {
  const detail = brokenFrameDetail(error.message);
  return { ...classifyMessagesEvent(error), ...(detail === undefined ? {} : { detail }) };
}

export function isStream(head: UpstreamHead): boolean {
  return head.status === 200 && (head.headers["content-type"] ?? "").toLowerCase().startsWith(eventStreamType);
}

function failureOf({ reason, status, type, detail }: ExceptionMeaning, message: string): Failure {
  return {
    reason,
    status,
    envelope: false,
    ...(detail === undefined ? {} : { detail }),
    ...(type === "api_error" || type === "permission_error"
      ? {}
      : { answer: errorAnswer({ type, message: callerWords(type, message) }) }),
  };
}

const notServed = { reason: "not_found", status: 404, type: "not_found_error" } as const;

/** Where the name says one thing and the words another. */
function specialMeaning({ type, message }: AwsError): ExceptionMeaning | undefined {
  if (type === "ValidationException") {
    if (/on-demand throughput/i.test(message)) return { ...notServed, detail: "needs an inference profile" };
    if (/support counting tokens/i.test(message))
      return { ...notServed, type: "api_error", detail: "no token counter for this model" };
    if (/model identifier is invalid|model ID .*not supported/i.test(message))
      return { ...notServed, detail: "unknown model id in this region" };
  }
  if (/scoped to a valid region/i.test(message))
    return { reason: "credential_refused", status: 401, type: "api_error", detail: "wrong region" };
  if (type !== "AccessDeniedException") return undefined;
  if (/PAYMENT_INSTRUMENT|billing/i.test(message))
    return { reason: "account_exhausted", status: 402, type: "api_error", detail: "account trouble" };
  if (/API key|bearer token|authentication failed|security token/i.test(message))
    return { reason: "credential_refused", status: 401, type: "api_error", detail: "key refused" };
  return undefined;
}

function isBetaRefusal({ type, message }: AwsError): boolean {
  return type === "ValidationException" && /invalid beta flag/i.test(message);
}

/** Nothing says when the day is over; asking every ten minutes is cheap enough. */
const dailyPauseMs = 600_000;

function isOfTheDay({ type, message }: AwsError): boolean {
  return type === "ThrottlingException" && /per day|daily/i.test(message);
}

/** Counted from the time that the answer itself gives. */
function laterThan(head: UpstreamHead, ms: number): number | undefined {
  const at = Date.parse(head.headers["date"] ?? "");
  return Number.isNaN(at) ? undefined : at + ms;
}
