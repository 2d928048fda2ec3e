import { errorHeaders, GatewayError, type ErrorCode } from "#shared/messages/error.ts";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import type { CallFacts, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import type { Usage } from "#shared/messages/usage.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import { returnedHeaders } from "../upstream/returned-headers.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import { withDroppedBetas } from "./call-betas.ts";
import type { CallRun } from "./call-run.ts";
import type { Verdict } from "./conclude.ts";

/** The answer a verdict gives, for a whole answer or for a stream of which nothing was sent. */
export function toOutcome(run: CallRun, verdict: Verdict): Outcome {
  switch (verdict.kind) {
    case "cancelled":
      return ownOutcome(run, new GatewayError("cancelled", "The caller has left."));
    case "refused":
      return refusedOutcome(run, verdict);
    case "delivered":
      return verdict.end.reason === "ok" ? success(run, verdict) : asItCame(run, verdict);
    default:
      return verdict satisfies never;
  }
}

type Delivered = Extract<Verdict, { kind: "delivered" }>;
type Refused = Extract<Verdict, { kind: "refused" }>;

function success(run: CallRun, { target, end }: Delivered): Outcome {
  const { answer } = end;
  return {
    ...factsOf(run, { code: "ok", target, ...(answer?.usage ? { usage: answer.usage } : {}) }),
    status: end.status ?? 200,
    headers: withDroppedBetas(jsonHeaders(end.headers ?? {}, run.head.id), run, target),
    body: answer?.body ?? Buffer.alloc(0),
  };
}

/** The provider's own error; one that is not the API's envelope is put into words of ours, with its status. */
function asItCame(run: CallRun, { target, end }: Delivered): Outcome {
  const facts = factsOf(run, { code: "upstream", target });
  const { response, failure } = end;
  const status = failure?.status ?? end.status ?? 500;
  if (failure?.answer) {
    const headers = { ...returnedHeaders(end.headers ?? {}, run.head.id), "content-type": jsonType };
    withDroppedBetas(headers, run, target);
    return { ...facts, status, headers, body: withRequestId(failure.answer, run.head.id) };
  }
  if (!response || !failure?.envelope) {
    const error = new GatewayError(
      codeOfStatus(status),
      `The provider answered with HTTP status ${end.status ?? status}.`,
    );
    return { ...errorOutcome(error, run.head.id, facts), status };
  }
  return {
    ...facts,
    status,
    headers: withDroppedBetas(returnedHeaders(response.head.headers, failure.requestId ?? run.head.id), run, target),
    body: response.body,
  };
}

function refusedOutcome(run: CallRun, { error, as, blockedUntil, stoodBack }: Refused): Outcome {
  const own = ownOutcome(run, error);
  const until = {
    ...(blockedUntil === undefined ? {} : { blockedUntil }),
    ...(stoodBack ? { stoodBack } : {}),
  };
  // The provider's words say more than ours where they mean the same.
  const words = as && wordsOf(as, run.head.id);
  if (!words || !as.response || as.failure?.status !== error.status) return { ...own, ...until };
  const { "retry-after-ms": _, ...headers } = returnedHeaders(
    as.response.head.headers,
    as.failure.requestId ?? run.head.id,
  );
  return {
    ...own,
    headers: { ...headers, "content-type": jsonType, ...errorHeaders(error) },
    body: words,
    ...until,
  };
}

const jsonType = "application/json";

/** A translated answer is JSON, whatever its original was. */
function jsonHeaders(headers: Readonly<Record<string, string>>, requestId: string): Record<string, string> {
  const returned = returnedHeaders(headers, requestId);
  if (!(returned["content-type"] ?? "").toLowerCase().startsWith(jsonType)) returned["content-type"] = jsonType;
  return returned;
}

/** The provider's words, if they may go to the caller. */
function wordsOf({ response, failure }: AttemptEnd, requestId: string): Buffer | undefined {
  if (failure?.answer) return withRequestId(failure.answer, requestId);
  return failure?.envelope ? response?.body : undefined;
}

/** An envelope that an adapter made, with the id that its header has. */
function withRequestId(envelope: Buffer, requestId: string): Buffer {
  const value = JSON.parse(envelope.toString("utf8")) as object;
  return Buffer.from(JSON.stringify({ ...value, request_id: requestId }));
}

function ownOutcome(run: CallRun, error: GatewayError): Outcome {
  return errorOutcome(error, run.head.id, factsOf(run, { code: error.code }));
}

interface FactsInput {
  readonly code: CallFacts["code"];
  readonly target?: PlannedTarget;
  readonly usage?: Usage;
}

function factsOf(run: CallRun, { code, target, usage }: FactsInput): CallFacts {
  return {
    code,
    attempts: run.attempts,
    waits: run.waits,
    notes: run.notes,
    ...(target ? { provider: target.provider, model: target.catalogueModel } : {}),
    ...(usage ? { usage } : {}),
  };
}

/** How a stream that had begun ended. */
export function toTrailer(run: CallRun, target: PlannedTarget, end: AttemptEnd): StreamTrailer {
  const usage = end.begun?.usage;
  const facts = factsOf(run, { code: trailerCode(end), target, ...(usage ? { usage } : {}) });
  return { ...facts, end: end.begun?.end ?? "cut" };
}

function trailerCode({ reason, detail }: AttemptEnd): CallFacts["code"] {
  if (reason === "ok" || reason === "cancelled") return reason;
  if (reason === "idle" || reason === "timed_out") return "timed_out";
  return reason === "stream_error" && detail === "overloaded_error" ? "overloaded" : "internal";
}

const statusCodes: ReadonlyMap<number, ErrorCode> = new Map([
  [400, "invalid_request"],
  [403, "forbidden"],
  [404, "not_found"],
  [405, "method_not_allowed"],
  [408, "request_timeout"],
  [409, "conflict"],
  [413, "request_too_large"],
  [422, "unprocessable"],
  [504, "timed_out"],
]);

function codeOfStatus(status: number): ErrorCode {
  return statusCodes.get(status) ?? (status < 500 ? "invalid_request" : "internal");
}
