import { isEncoded } from "../anthropic/is-encoded.ts";
import type { Failure, UpstreamHead } from "../adapter.ts";
import { errorAnswer } from "../translate/error-answer.ts";
import { callerError, isMissingPath, readChatError, troubleOf, type ChatErrorFacts } from "./chat-error.ts";
import { isFailedFinish, readFinish } from "./chat-end.ts";
import { isFields } from "../translate/reading.ts";

/** Bodies beyond this are no errors. */
const maxErrorBytes = 1024 * 1024;

/** What was wrong with this whole answer, in which `decode` found none. */
export function classify(head: UpstreamHead, body: Buffer): Failure {
  const { status } = head;
  if (isEncoded(head) && status < 400) return broken("compressed although identity was asked for");
  const error = readError(body);
  if (status < 300) return error ? failureOf(error, undefined, head) : broken("a success status without an answer");
  if (status < 400) return broken("unexpected status");
  return failureOf(error, status, head);
}

export function isStream(head: UpstreamHead): boolean {
  const type = (head.headers["content-type"] ?? "").toLowerCase();
  return head.status === 200 && type.startsWith("text/event-stream") && !isEncoded(head);
}

function broken(detail: string): Failure {
  return { reason: "server_error", status: 502, detail, envelope: false };
}

function failureOf(error: ChatErrorFacts | undefined, status: number | undefined, head: UpstreamHead): Failure {
  const trouble = troubleOf(error, status);
  const failure = { reason: trouble.reason, status: trouble.status, envelope: false };
  const retryAt = trouble.reason === "rate_limited" ? readRetryAt(head, error) : undefined;
  return {
    ...failure,
    ...(trouble.detail === undefined ? undefined : { detail: trouble.detail }),
    ...(retryAt === undefined ? undefined : { retryAt }),
    // Our own account's troubles are none of the caller's business.
    ...(mayTell(trouble.reason, error) ? { answer: errorAnswer(callerError(error, trouble)) } : undefined),
  };
}

function mayTell(reason: Failure["reason"], error: ChatErrorFacts | undefined): boolean {
  return reason === "invalid_request" || (reason === "not_found" && !isMissingPath(error));
}

function readError(body: Buffer): ChatErrorFacts | undefined {
  if (body.length > maxErrorBytes) return undefined;
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return readChatError(value) ?? readFailedChoice(value);
  } catch {
    return undefined;
  }
}

/** A choice that ended in an error, with or without a word about it. */
function readFailedChoice(value: unknown): ChatErrorFacts | undefined {
  const choice: unknown = isFields(value) && Array.isArray(value["choices"]) ? value["choices"][0] : undefined;
  if (!isFields(choice)) return undefined;
  const finish = readFinish(choice);
  if (finish === undefined || !isFailedFinish(finish)) return undefined;
  return readChatError(choice) ?? { message: "", words: new Set([finish.reason === "error" ? "" : "overloaded"]) };
}

/** Where `retry-after` is missing: the limit that is used up says when it is filled again, or the message does. */
function readRetryAt(head: UpstreamHead, error: ChatErrorFacts | undefined): number | undefined {
  const { headers } = head;
  if (headers["retry-after"] !== undefined || headers["retry-after-ms"] !== undefined) return undefined;
  const said = /try again in ((?:[\d.]+(?:ms|[hms]))+)/i.exec(error?.message ?? "")?.[1];
  const waits = ["requests", "tokens"]
    .filter((kind) => headers[`x-ratelimit-remaining-${kind}`] === "0")
    .map((kind) => durationMs(headers[`x-ratelimit-reset-${kind}`]));
  const waitMs = durationMs(said) ?? waits.filter((wait) => wait !== undefined).toSorted((a, b) => b - a)[0];
  return waitMs === undefined ? undefined : Date.now() + waitMs;
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `20ms`, `7.66s`, `6m0s`, `1h2m3s`, or a number of seconds; undefined for anything else. */
function durationMs(value: string | undefined): number | undefined {
  if (value === undefined || !/^(?:[\d.]+(?:ms|[dhms])?)+$/.test(value)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of value.matchAll(/([\d.]+)(ms|[dhms])?/g))
    sum += Number(amount) * (unitMs[unit ?? "s"] ?? 0);
  return Number.isFinite(sum) ? sum : undefined;
}
