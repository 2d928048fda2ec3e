import type { FastifyRequest } from "fastify";
import type { LimitsConfig } from "#shared/config/schema.ts";
import { setCacheBreakpoint } from "#shared/messages/auto-caching.ts";
import { readBody, type CallBodyFacts } from "#shared/messages/body.ts";
import type { Operation } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { checkDetachable, readOnDisconnect } from "../detach/on-disconnect.ts";
import type { BodyBudget } from "../plugins/body-budget.ts";
import type { Caller } from "../plugins/keyring.ts";
import { readPayload } from "../plugins/read-payload.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { Arrival } from "./arrival.ts";
import { makeCallHead, pickForwardedHeaders, readSession } from "./call-head.ts";
import { takeLease, type CallLease } from "./call-lease.ts";
import { readCallTimes } from "./call-times.ts";
import { checkModels } from "./check-models.ts";
import { readPriority } from "./priority.ts";
import { OpenCall } from "./open-call.ts";
import { reserveBudget, type BudgetedCall } from "./reserve-budget.ts";

/** One of the endpoints that begin a call. */
export interface CallEndpoint {
  readonly operation: Operation;
  /** Under the prefixes where only Claude models are served. */
  readonly claudeOnly: boolean;
}

export interface AcceptDeps extends GatewayDeps {
  readonly budget: BodyBudget;
}

/** How long a call's place in its key's `concurrent` is kept if this process dies with it. */
const limitMarginMs = 60_000;

/**
 * Everything between authentication and the first step towards a provider: a place, the key's limits, the body, the
 * models it names. Rejects with a GatewayError that is the answer; then nothing is held.
 */
export async function acceptCall(
  arrival: Arrival,
  deps: AcceptDeps & { readonly endpoint: CallEndpoint },
): Promise<OpenCall> {
  const { request, reply, acceptedAt } = arrival;
  const lease = takeLease(deps.guard, deps.budget);
  try {
    // Read for their errors too: what cannot be read is refused before the body.
    const onDisconnect = readOnDisconnect(request.headers);
    const times = readCallTimes(request.headers, false, acceptedAt);
    const admission = admitByLimits(request, lease, { ...deps, holdMs: times.deadlineAt - acceptedAt });
    if (admission) await admission;
    const options = { limits: deps.server, budget: deps.budget };
    const bytes = await readPayload(request.raw, reply.raw, options);
    lease.holdBytes(bytes.length);
    const call = readCall(arrival, { bytes, onDisconnect }, deps);
    const { budget } = request.caller;
    const isPaid = budget !== undefined && call.head.operation === "messages";
    const hold = isPaid ? await reserveBudget(call, budget, deps) : undefined;
    return new OpenCall({ head: call.head, bytes: call.bytes, response: reply.raw, lease, hold }, deps);
  } catch (reason) {
    lease.release();
    throw reason;
  }
}

interface Received {
  readonly bytes: Buffer;
  readonly onDisconnect: "cancel" | "detach";
}

function readCall(
  arrival: Arrival,
  received: Received,
  deps: AcceptDeps & { readonly endpoint: CallEndpoint },
): BudgetedCall {
  const { request, acceptedAt } = arrival;
  const { caller } = request;
  const { operation, claudeOnly } = deps.endpoint;
  const read = readBody(received.bytes, operation);
  arrival.stream = read.stream;
  arrival.model = read.model;
  const { facts, bytes, notes } = withCaching(read, received.bytes, operation);
  checkDetachable(received.onDisconnect, facts.stream);
  const model = checkModels(facts, { catalogue: deps.catalogue, caller, claudeOnly });
  arrival.model = model.name;
  const identity = {
    id: request.id,
    operation,
    keyId: caller.keyId,
    model: model.name,
    headers: pickForwardedHeaders(request.headers),
    session: readSession(request.headers),
    priority: readPriority(request.headers),
    ...(notes ? { notes } : undefined),
  };
  const times = readCallTimes(request.headers, facts.stream, acceptedAt);
  return { head: makeCallHead(identity, facts, times), bytes, facts };
}

interface ReadCall {
  readonly facts: CallBodyFacts;
  readonly bytes: Buffer;
  readonly notes?: readonly string[];
}

/** Where the caller asked for it, the body with a cache breakpoint; what lies where in it is found anew. */
function withCaching(facts: CallBodyFacts, bytes: Buffer, operation: Operation): ReadCall {
  if (facts.caching === undefined) return { facts, bytes };
  const cached = setCacheBreakpoint(bytes);
  const isSame = cached.bytes === bytes;
  return { facts: isSame ? facts : readBody(cached.bytes, operation), bytes: cached.bytes, notes: [cached.note] };
}

/** Takes a place among the key's own limits; undefined when it has it at once. Rejects with `rate_limited`. */
export function admitByLimits(
  { id, caller }: FastifyRequest,
  lease: CallLease,
  { keyLimits, holdMs }: Pick<AcceptDeps, "keyLimits"> & { readonly holdMs: number },
): Promise<void> | undefined {
  const { keyId, limits }: Caller = caller;
  if (!limits) return undefined;
  const call = { id, holdMs: holdMs + limitMarginMs };
  const hold = (): void => lease.holdLimits(() => keyLimits.release(keyId, id));
  if (keyLimits.admitAtOnce(keyId, limits, call)) {
    hold();
    return undefined;
  }
  return keyLimits.admit(keyId, limits, call).then((admission) => {
    if (!admission.ok) throw limitReached(limits, admission.retryAfterS);
    hold();
  });
}

/** For a place among the `concurrent` calls one is told to try again in a second; a minute's calls take longer. */
function limitReached({ rpm, concurrent }: LimitsConfig, retryAfterS: number): GatewayError {
  const isConcurrent = rpm === undefined || (concurrent !== undefined && retryAfterS <= 1);
  metrics.keyLimitedTotal.inc({ limit: isConcurrent ? "concurrent" : "rpm" });
  const what = isConcurrent ? `${concurrent} calls at a time` : `${rpm} calls per minute`;
  return new GatewayError("rate_limited", `This key's own limit of ${what} is reached.`, { retryAfterS });
}
