import type { FastifyReply, FastifyRequest } from "fastify";
import type { LimitsConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { Operation } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { checkDetachable, readOnDisconnect } from "../detach/on-disconnect.ts";
import type { BodyBudget } from "../plugins/body-budget.ts";
import type { Caller } from "../plugins/keyring.ts";
import { readPayload } from "../plugins/read-payload.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { makeCallHead, pickForwardedHeaders, readSession } from "./call-head.ts";
import { takeLease, type CallLease } from "./call-lease.ts";
import { readCallTimes } from "./call-times.ts";
import { checkModels } from "./check-models.ts";
import { readPriority } from "./priority.ts";
import { OpenCall } from "./open-call.ts";

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
  request: FastifyRequest,
  reply: FastifyReply,
  deps: AcceptDeps & { readonly endpoint: CallEndpoint },
): Promise<OpenCall> {
  const acceptedAt = Date.now();
  const lease = takeLease(deps.guard, deps.budget);
  try {
    // Read for their errors too: what cannot be read is refused before the body.
    const onDisconnect = readOnDisconnect(request.headers);
    const times = readCallTimes(request.headers, false, acceptedAt);
    if (request.caller.limits) await admitByLimits(request, lease, { ...deps, holdMs: times.deadlineAt - acceptedAt });
    const options = { limits: deps.server, budget: deps.budget };
    const bytes = await readPayload(request.raw, reply.raw, options);
    lease.holdBytes(bytes.length);
    return openCall(request, { bytes, lease, acceptedAt, response: reply.raw, onDisconnect }, deps);
  } catch (reason) {
    lease.release();
    throw reason;
  }
}

interface Received {
  readonly bytes: Buffer;
  readonly lease: CallLease;
  readonly acceptedAt: number;
  readonly response: FastifyReply["raw"];
  readonly onDisconnect: "cancel" | "detach";
}

function openCall(
  request: FastifyRequest,
  received: Received,
  deps: AcceptDeps & { readonly endpoint: CallEndpoint },
): OpenCall {
  const { bytes, lease, response } = received;
  const { caller } = request;
  const { operation, claudeOnly } = deps.endpoint;
  const facts = readBody(bytes, operation);
  checkDetachable(received.onDisconnect, facts.stream);
  const model = checkModels(facts, { catalogue: deps.catalogue, caller, claudeOnly });
  const identity = {
    id: request.id,
    operation,
    keyId: caller.keyId,
    model: model.name,
    headers: pickForwardedHeaders(request.headers),
    session: readSession(request.headers),
    priority: readPriority(request.headers),
  };
  const times = readCallTimes(request.headers, facts.stream, received.acceptedAt);
  const head = makeCallHead(identity, facts, times);
  return new OpenCall({ head, bytes, response, lease }, deps);
}

/** Takes a place among the key's own limits, or rejects with `rate_limited`. */
export async function admitByLimits(
  request: FastifyRequest,
  lease: CallLease,
  deps: Pick<AcceptDeps, "keyLimits"> & { readonly holdMs: number },
): Promise<void> {
  const { keyId, limits = {} }: Caller = request.caller;
  const admission = await deps.keyLimits.admit(keyId, limits, request.id, deps.holdMs + limitMarginMs);
  if (!admission.ok) throw limitReached(limits, admission.retryAfterS);
  lease.holdLimits(() => deps.keyLimits.release(keyId, request.id));
}

/** For a place among the `concurrent` calls one is told to try again in a second; a minute's calls take longer. */
function limitReached({ rpm, concurrent }: LimitsConfig, retryAfterS: number): GatewayError {
  const isConcurrent = rpm === undefined || (concurrent !== undefined && retryAfterS <= 1);
  metrics.keyLimitedTotal.inc({ limit: isConcurrent ? "concurrent" : "rpm" });
  const what = isConcurrent ? `${concurrent} calls at a time` : `${rpm} calls per minute`;
  return new GatewayError("rate_limited", `This key's own limit of ${what} is reached.`, { retryAfterS });
}
