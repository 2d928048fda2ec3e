import { setTimeout as sleep } from "node:timers/promises";
import type { RouteHandlerMethod } from "fastify";
import { nanosPerUsd } from "#shared/messages/cost.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { StoredTrace, TraceStore } from "#shared/store/trace-store.ts";
import { writeJson } from "../answer.ts";
import { nobodysId } from "../call/refusal-traces.ts";
import { callIdOf } from "../jobs/job-id.ts";
import { sendError } from "../plugins/errors.ts";

/** A trace is written a little after the answer: who asks at once is kept waiting this long. */
const patienceMs = 1000;
const lookEveryMs = 100;

/**
 * `GET /v1/requests/{id}`: the trace of a call, by `request-id` or by the call's own id, for the key that made it; of a
 * call without a valid key, for every key.
 */
export function requestRoute(deps: { readonly traces: TraceStore }): RouteHandlerMethod {
  return (request, reply) => {
    reply.hijack();
    const { id = "" } = request.params as { readonly id?: string };
    readTrace(deps.traces, request.caller.keyId, id).then(
      (trace) => writeJson(reply.raw, request.id, describeTrace(trace)),
      (reason: unknown) => sendError(request, reply, toGatewayError(reason)),
    );
  };
}

async function readTrace(traces: TraceStore, keyId: string, id: string): Promise<StoredTrace> {
  const until = Date.now() + patienceMs;
  for (;;) {
    const trace = await findTrace(traces, keyId, id).catch((cause: unknown) => {
      throw new GatewayError("overloaded", "Traces cannot be read at the moment.", { retryAfterS: 1, cause });
    });
    if (trace !== undefined) return trace;
    const advice = adviceFor(id);
    if (advice !== undefined) throw new GatewayError("not_found", `No trace of ${id.slice(0, 200)}: ${advice}.`);
    if (Date.now() >= until) break;
    await sleep(lookEveryMs);
  }
  const age = inWords(traces.ttlMs);
  const why = `it is older than ${age}, another key's, or one of very many that were refused`;
  throw new GatewayError("not_found", `No trace of ${id.slice(0, 200)}: ${why}.`);
}

async function findTrace(traces: TraceStore, keyId: string, id: string): Promise<StoredTrace | undefined> {
  return (await traces.get(keyId, id)) ?? (await traces.get(nobodysId, id));
}

const wanted = "give the request-id header of an answer, or its x-sluice-request-id (call_…)";

/** What to give instead of an id of another kind. Providers' ids may look like anything, so a trace is looked for first. */
function adviceFor(id: string): string | undefined {
  if (id.startsWith("call_")) return undefined;
  if (id.startsWith("job_")) return `that is a job's id; give the job's request_id, ${callIdOf(id).slice(0, 200)}`;
  if (id.startsWith("msgbatch_")) return "that is a batch's id; give the request_id of an errored line of its results";
  if (id.startsWith("msg_")) return `that is a message's id; ${wanted}`;
  // Words, such as a placeholder that was left standing.
  return /\d/.test(id) ? undefined : `that is no request's id; ${wanted}, of a job its request_id`;
}

function inWords(ms: number): string {
  if (ms === 3_600_000) return "an hour";
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000} hours`;
  return ms % 60_000 === 0 && ms > 60_000 ? `${ms / 60_000} minutes` : `${ms / 1000} s`;
}

/** The trace as callers see it: snake case and RFC 3339 like the rest of the API. */
function describeTrace(trace: StoredTrace): object {
  return {
    type: "request",
    id: trace.id,
    request_id: trace.requestId,
    operation: trace.operation,
    stream: trace.stream ?? null,
    model: trace.model ?? null,
    status: trace.status,
    code: trace.code,
    error: trace.error ?? null,
    provider: trace.provider ?? null,
    accepted_at: instant(trace.acceptedAt),
    first_content_at: trace.firstContentAt === undefined ? null : instant(trace.firstContentAt),
    ended_at: instant(trace.endedAt),
    queue_ms: trace.queueMs,
    usage: trace.usage ?? null,
    cost: trace.cost === undefined ? null : describeCost(trace.cost),
    attempts: trace.attempts.map((attempt) => ({
      provider: attempt.provider,
      model: attempt.model,
      started_at: instant(attempt.startedAt),
      status_at: attempt.statusAt === undefined ? null : instant(attempt.statusAt),
      ended_at: instant(attempt.endedAt),
      status: attempt.status ?? null,
      reason: attempt.reason,
      detail: attempt.detail ?? null,
      upstream_request_id: attempt.upstreamRequestId ?? null,
      rerun: attempt.rerun ?? false,
    })),
    waits: trace.waits.map((wait) => ({
      kind: wait.kind,
      started_at: instant(wait.startedAt),
      ended_at: instant(wait.endedAt),
    })),
    notes: trace.notes,
  };
}

/** US dollars, by what they were for. */
function describeCost(cost: NonNullable<StoredTrace["cost"]>): object {
  if ("unknown" in cost) return { usd: "unknown", why: cost.unknown };
  return {
    usd: cost.total / nanosPerUsd,
    input_usd: cost.input / nanosPerUsd,
    output_usd: cost.output / nanosPerUsd,
    cache_creation_usd: cost.cacheCreation / nanosPerUsd,
    cache_read_usd: cost.cacheRead / nanosPerUsd,
    server_tools_usd: cost.serverTools / nanosPerUsd,
  };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
