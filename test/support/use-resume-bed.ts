import { afterAll } from "vitest";
import type { StreamSink } from "#shared/rpc/worker-server.ts";
import { createCloseStack } from "#shared/runtime/close-stack.ts";
import { connectRedis, type RedisConnection } from "#shared/store/connect-redis.ts";
import { createEventLog, type EventLog } from "#shared/store/event-log.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { startGateway } from "../../services/gateway/start-gateway.ts";
import { cutEvents, readStream, withoutComments } from "./event-streams.ts";
import { ask, bedKeys, beginStream, type GatewayBed } from "./gateway-bed.ts";
import { patience } from "./store-bed.ts";
import { useGatewayBed } from "./use-gateway-bed.ts";
import { blockStart, messageStart } from "./wire-samples.ts";

export const detach = { "x-sluice-on-disconnect": "detach" };
export const streamed = ask({ stream: true });

export interface EventsQuery {
  /** The second gateway's, if absent. */
  readonly url?: string;
  readonly after?: number | string;
  readonly key?: string;
  readonly method?: string;
}

/** A detached stream that has begun with two events, left by its caller, and goes on at the test's word. */
export interface DetachedStream {
  readonly id: string;
  readonly first: string;
  readonly sink: StreamSink;
  readonly signal: AbortSignal;
}

/** A gateway bed with a second gateway of the same fleet, and the recordings in its Redis. */
export interface ResumeBed {
  readonly bed: GatewayBed;
  readonly redis: RedisConnection;
  /** Whose leases end after a second. */
  readonly log: EventLog;
  getEvents(id: string, query?: EventsQuery): Promise<Response>;
  startDetached(): Promise<DetachedStream>;
}

/** Such a bed for all tests of a file. */
export async function useResumeBed(events: Readonly<Record<string, unknown>> = {}): Promise<ResumeBed> {
  const bed = await useGatewayBed({ config: { server: { ping_after: "300ms" }, events: { ttl: "20s", ...events } } });
  const logger = createLogger({ name: "test", level: "silent" });
  const stack = createCloseStack(logger);
  afterAll(() => stack.closeAll());
  const other = await startGateway(bed.config, { own: (resource) => stack.own(resource), logger, maxLagMs: Infinity });
  const { url, prefix } = bed.config.redis;
  const redis = stack.own(connectRedis(url, "command", { logger, ...patience(url) }));
  await redis.ready();
  const connectSubscriber = (): RedisConnection => connectRedis(url, "subscriber", { logger });
  const log = stack.own(createEventLog({ redis, connectSubscriber, prefix, ttlMs: 20_000, leaseMs: 1000 }));
  return {
    bed,
    redis,
    log,
    getEvents(id, { url = `http://127.0.0.1:${other.port}`, after, key = bedKeys.key, method = "GET" } = {}) {
      const last = after === undefined ? {} : { "last-event-id": String(after) };
      return fetch(`${url}/v1/jobs/${id}/events`, { method, headers: { "x-api-key": key, ...last } });
    },
    startDetached: () => startDetached(bed),
  };
}

async function startDetached(bed: GatewayBed): Promise<DetachedStream> {
  const opened = Promise.withResolvers<{ sink: StreamSink; signal: AbortSignal }>();
  const gone = Promise.withResolvers<void>();
  const first = messageStart("m", "msg_1") + blockStart();
  bed.script.stream = (_call, sink, { signal }) => {
    signal.addEventListener("abort", () => gone.resolve());
    beginStream(sink);
    write(sink, first);
    opened.resolve({ sink, signal });
    return gone.promise;
  };
  const response = await bed.post("/v1/messages", streamed, detach);
  await readStream(response, (text) => cutEvents(withoutComments(text)).length >= 2);
  return { id: callIdOf(response), first, ...(await opened.promise) };
}

export function write(sink: StreamSink, text: string): boolean {
  return sink.write(Buffer.from(text));
}

export function callIdOf(response: Response): string {
  return response.headers.get("x-sluice-request-id") ?? "";
}
