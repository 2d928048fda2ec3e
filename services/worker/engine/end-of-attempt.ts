import type { AttemptReason } from "#shared/messages/outcome.ts";
import type { Failure, UpstreamHead } from "../adapters/adapter.ts";
import type { ExchangeFailure } from "../upstream/exchange.ts";
import type { AttemptEnd, UpstreamAnswer } from "./attempt-end.ts";
import type { AttemptOrder } from "./attempt-order.ts";

export interface Seen {
  readonly startedAt: number;
  readonly statusAt?: number;
  readonly head?: UpstreamHead;
}

/** The end of an attempt whose answer came with all its bytes. */
export function endOfAnswer(order: AttemptOrder, response: UpstreamAnswer, seen: Seen): AttemptEnd {
  const { adapter } = order.provider;
  const { head, body } = response;
  const base = { ...seenOf({ ...seen, head }), response };
  try {
    const answer = adapter.decode(order.context, head, body);
    if (answer) return { ...base, reason: "ok", answer };
    const failure = adapter.classify(head, body);
    return { ...base, ...failureOf(failure), failure };
  } catch {
    return { ...base, reason: "server_error", detail: "an answer that cannot be read" };
  }
}

/** The end of an attempt that an error event stands for, before any content. */
export function endOfEvent(failure: Failure, response: UpstreamAnswer, seen: Seen): AttemptEnd {
  return { ...seenOf({ ...seen, head: response.head }), ...failureOf(failure), response, failure };
}

/** The end of an attempt without a whole answer. */
export function endOfFailure(failure: ExchangeFailure, seen: Seen): AttemptEnd {
  return { ...seenOf(seen), sent: failure.sent, reason: reasonOf(failure), detail: failure.detail };
}

/** What an attempt's end says in any case. */
export function seenOf(seen: Seen): Omit<AttemptEnd, "reason"> {
  const requestId = seen.head && upstreamRequestId(seen.head.headers);
  return {
    sent: true,
    startedAt: seen.startedAt,
    endedAt: Date.now(),
    ...(seen.statusAt === undefined ? {} : { statusAt: seen.statusAt }),
    ...(seen.head ? { status: seen.head.status, headers: seen.head.headers } : {}),
    ...(requestId === undefined ? {} : { upstreamRequestId: requestId }),
  };
}

/** By the name that each vendor gives it. */
function upstreamRequestId(headers: UpstreamHead["headers"]): string | undefined {
  return headers["request-id"] ?? headers["x-amzn-requestid"] ?? headers["x-request-id"] ?? headers["apim-request-id"];
}

function failureOf(failure: Failure): { readonly reason: AttemptReason; readonly detail?: string } {
  return { reason: failure.reason, ...(failure.detail === undefined ? {} : { detail: failure.detail }) };
}

/** The names that limits are given with, see the attempts. */
const expiries: Readonly<Record<string, AttemptReason>> = {
  deadline: "timed_out",
  no_status: "no_status",
  idle: "idle",
  longest: "timed_out",
};

function reasonOf(failure: ExchangeFailure): AttemptReason {
  switch (failure.kind) {
    case "connect_failed":
    case "reset":
      return failure.kind;
    case "aborted":
      return "cancelled";
    case "expired":
      return expiries[failure.detail] ?? "timed_out";
    default:
      return failure.kind satisfies never;
  }
}
