import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from "fastify";
import { toGatewayError, type GatewayError } from "#shared/messages/error.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { writeError } from "../answer.ts";
import { acceptCall, type AcceptDeps, type CallEndpoint } from "../call/accept-call.ts";
import { readOnDisconnect } from "../detach/on-disconnect.ts";
import { startDetachable } from "../detach/start-detachable.ts";
import { beginWished, readCallWishes, refuseCall, type BeginDeps, type CallWishes } from "../call/begin-wished.ts";
import type { OpenCall } from "../call/open-call.ts";
import { StreamedCall } from "../call/streamed-call.ts";

export interface CallRouteDeps extends AcceptDeps, BeginDeps {}

/** An endpoint that begins a call: streamed by the body's `stream` alone, else through the queue. */
export function callRoute(endpoint: CallEndpoint, deps: CallRouteDeps): RouteHandlerMethod {
  const acceptDeps = { ...deps, endpoint };
  return (request, reply) => {
    // From here on the answer is written by whoever runs the call.
    reply.hijack();
    acceptCall(request, reply, acceptDeps)
      .then((call) => beginCall(call, request, deps))
      .catch((reason: unknown) => refuse(request, reply, { ...acceptDeps, reason }));
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

type RefuseDeps = CallRouteDeps & { readonly endpoint: CallEndpoint; readonly reason: unknown };

/** The answer to a call that was not accepted: it has a log line and a count, but no trace. */
function refuse(request: FastifyRequest, reply: FastifyReply, deps: RefuseDeps): void {
  const { logger, endpoint, reason } = deps;
  const error = toGatewayError(reason);
  if (error.code === "internal") logger.error({ err: reason, callId: request.id }, "a call failed");
  if (error.code === "cancelled") reply.raw.destroy();
  else writeError(reply.raw, request.id, error);
  count(endpoint, error);
  const { operation } = endpoint;
  const { keyId } = request.caller;
  logger.info({ callId: request.id, keyId, operation, status: error.status, code: error.code }, "call refused");
}

function count({ operation }: CallEndpoint, { code }: GatewayError): void {
  metrics.callsTotal.inc({ operation, stream: "unknown", model: "unknown", code });
}
