import type { FastifyRequest, RouteHandlerMethod } from "fastify";
import { toGatewayError, type GatewayError } from "#shared/messages/error.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { writeError } from "../answer.ts";
import type { Arrival } from "../call/arrival.ts";
import { acceptCall, type AcceptDeps, type CallEndpoint } from "../call/accept-call.ts";
import { markCall } from "../plugins/half-closed.ts";
import { readOnDisconnect } from "../detach/on-disconnect.ts";
import { startDetachable } from "../detach/start-detachable.ts";
import { beginWished, type BeginDeps } from "../call/begin-wished.ts";
import { readCallWishes, type CallWishes } from "../call/call-wishes.ts";
import type { OpenCall } from "../call/open-call.ts";
import type { RefusalTraces } from "../call/refusal-traces.ts";
import { refuseCall } from "../call/refuse-call.ts";
import { StreamedCall } from "../call/streamed-call.ts";

export interface CallRouteDeps extends AcceptDeps, BeginDeps {
  readonly refusals: RefusalTraces;
}

/** An endpoint that begins a call: streamed by the body's `stream` alone, else through the queue. */
export function callRoute(endpoint: CallEndpoint, deps: CallRouteDeps): RouteHandlerMethod {
  const acceptDeps = { ...deps, endpoint };
  return (request, reply) => {
    // From here on the answer is written by whoever runs the call.
    reply.hijack();
    markCall(reply.raw, request.id);
    const arrival: Arrival = { request, reply, acceptedAt: Date.now() };
    acceptCall(arrival, acceptDeps)
      .then((call) => beginCall(call, request, deps))
      .catch((reason: unknown) => refuse(arrival, reason, acceptDeps));
  };
}

function beginCall(call: OpenCall, request: FastifyRequest, deps: CallRouteDeps): Promise<void> | undefined {
  let wishes: CallWishes | undefined;
  let isDetached = false;
  try {
    wishes = readCallWishes(request);
    isDetached = readOnDisconnect(request.headers) === "detach";
  } catch (reason) {
    return refuseCall(call, toGatewayError(reason));
  }
  // A retry of a detached stream is one too.
  if (wishes && !(isDetached && wishes.preference === undefined)) return beginWished(call, wishes, deps);
  if (!call.head.stream) deps.queued.start(call);
  else if (isDetached) return startDetachable(call, deps);
  else new StreamedCall(call, deps).start();
  return undefined;
}

type RefuseDeps = CallRouteDeps & { readonly endpoint: CallEndpoint };

/** The answer to a call that was not accepted. It has a log line, a count and, unless there are very many, a trace. */
function refuse(arrival: Arrival, reason: unknown, { logger, endpoint, refusals }: RefuseDeps): void {
  const { request, reply, acceptedAt, stream, model } = arrival;
  const { operation } = endpoint;
  const { id: callId, caller } = request;
  const error = toGatewayError(reason);
  const { status, code, where } = error;
  if (code === "internal") logger.error({ err: reason, callId }, "a call failed");
  if (code === "cancelled") {
    reply.raw.destroy();
  } else {
    writeError(reply.raw, callId, error);
    refusals.put(arrival, operation, error);
  }
  count(endpoint, error);
  const ms = Date.now() - acceptedAt;
  logger.info({ callId, keyId: caller.keyId, operation, stream, model, status, code, where, ms }, "call refused");
}

function count({ operation }: CallEndpoint, { code }: GatewayError): void {
  metrics.callsTotal.inc({ operation, stream: "unknown", model: "unknown", code });
}
