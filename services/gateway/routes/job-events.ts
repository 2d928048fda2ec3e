import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { EventLog, EventOwner, EventPage } from "#shared/store/event-log.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { CallClock } from "../call-clock.ts";
import { readingPoint, Replay } from "../detach/replay.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { sendError } from "../plugins/errors.ts";
import type { TurnQueue } from "../turn-queue.ts";

export interface JobEventsDeps extends GatewayDeps {
  readonly clock: CallClock;
  readonly turns: TurnQueue;
}

/**
 * `GET /v1/jobs/{id}/events`: the recorded events of a stream behind `Last-Event-ID`, then those that come, for the key
 * that made the call.
 */
export function jobEventsRoute(deps: JobEventsDeps): RouteHandlerMethod {
  let readers = 0;
  const count = (more: 1 | -1): void => {
    readers += more;
    metrics.eventReaders.set(readers);
  };
  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (readers >= deps.eventReading.maxReaders)
      throw new GatewayError("overloaded", "Too many streams are read again at the moment.", { retryAfterS: 1 });
    count(1);
    try {
      await relay(request, reply, deps);
    } finally {
      count(-1);
    }
  }
  return (request, reply) => {
    reply.hijack();
    serve(request, reply).catch((reason: unknown) => {
      const error = toGatewayError(reason);
      if (error.code === "internal") deps.logger.error({ err: reason, callId: request.id }, "a replay failed");
      sendError(request, reply, error);
    });
  };
}

async function relay(request: FastifyRequest, { raw }: FastifyReply, deps: JobEventsDeps): Promise<void> {
  const { id: callId = "" } = request.params as { readonly id?: string };
  const owner = { keyId: request.caller.keyId, callId };
  const after = readLastEventId(request.headers["last-event-id"]);
  const page = await readFirstPage(deps.events, owner, after);
  if (raw.destroyed) return;
  if (request.method === "HEAD") {
    raw.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "x-sluice-request-id": callId }).end();
    return;
  }
  const { events, clock, turns } = deps;
  const options = { events, owner, after, clock, turns, pingAfterMs: deps.server.pingAfterMs };
  await new Replay(raw, options).run(page);
}

/** Numbers of events are ours: short, and rising from 1. */
function readLastEventId(header: string | string[] | undefined): number {
  if (header === undefined || header === "") return 0;
  if (typeof header === "string" && /^\d{1,12}$/.test(header)) return Number(header);
  throw new GatewayError("invalid_request", "Last-Event-ID: the number of an event, as its `id:` says");
}

async function readFirstPage(events: EventLog, owner: EventOwner, after: number): Promise<EventPage> {
  const page = await events.read(owner, readingPoint(after)).catch((cause: unknown) => {
    throw new GatewayError("overloaded", "Streams cannot be read again at the moment.", { retryAfterS: 1, cause });
  });
  if (page === undefined) throw new GatewayError("not_found", `job: ${owner.callId}`);
  // While the stream goes on, an event may have reached its caller before it reached the recording.
  if (!page.isLive && after > page.lastEvent)
    throw new GatewayError("invalid_request", `Last-Event-ID: the recording ends with event ${page.lastEvent}`);
  return page;
}
