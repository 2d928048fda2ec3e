import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { SluiceConfig } from "#shared/config/schema.ts";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { callerDoubts, logDoubts, modelDoubts } from "#shared/routing/config-doubts.ts";
import { createPriceBook } from "#shared/routing/price-book.ts";
import { createWorkerPool } from "#shared/rpc/worker-pool.ts";
import type { Service, ServiceContext } from "#shared/runtime/run-service.ts";
import { createBatchIntake } from "#shared/store/batch-intake.ts";
import { createBatchStore } from "#shared/store/batch-store.ts";
import { createBodyStore } from "#shared/store/body-store.ts";
import { createBudgetStore } from "#shared/store/budget-store.ts";
import { createEventLog } from "#shared/store/event-log.ts";
import { connectRedis, type RedisConnection } from "#shared/store/connect-redis.ts";
import { createCallRegistry } from "#shared/store/call-registry.ts";
import { createClaimStore } from "#shared/store/claim-store.ts";
import { createJobStore } from "#shared/store/job-store.ts";
import { createKeyLimits } from "#shared/store/key-limits.ts";
import { createRedisHealth } from "#shared/store/redis-health.ts";
import { createReplyBus } from "#shared/store/reply-bus.ts";
import { createResultStore } from "#shared/store/result-store.ts";
import { createTapeStore } from "#shared/store/tape-store.ts";
import { createTraceStore } from "#shared/store/trace-store.ts";
import { createUsageStore } from "#shared/store/usage-store.ts";
import { buildApp } from "./app.ts";
import { createRecordings } from "./detach/recordings.ts";
import { createFleetView } from "./fleet-view.ts";
import type { GatewayDeps } from "./gateway-deps.ts";
import { createKeyring } from "./plugins/keyring.ts";
import { createLoadGuard } from "./plugins/load-guard.ts";
import { createOidcVerifier } from "./plugins/oidc-verifier.ts";

export interface Gateway {
  readonly service: Service;
  readonly port: number;
  /** Takes over callers' keys as they are now. */
  useKeys(config: Pick<SluiceConfig, "keys" | "oidc">): void;
}

export interface GatewayContext extends Omit<ServiceContext, "signal"> {
  /** For a process that is more than a gateway: the event loop's delay beyond which calls are shed; 500 ms if absent. */
  readonly maxLagMs?: number;
}

/** How long the start waits for Redis; without it calls go straight to the workers. */
const redisPatienceMs = 3000;
const backlog = 4096;
/** Commands of batches are large, and nobody's answer waits for one. */
const batchTimeoutMs = 10_000;

/** Opens everything a gateway stands on, then listens. What is opened is the context's to close. */
export async function startGateway(config: SluiceConfig, context: GatewayContext): Promise<Gateway> {
  logDoubts(context.logger, [...modelDoubts(config), ...callerDoubts(config)]);
  const { deps, describeRedis, awaitRedis } = openDeps(config, context);
  const app = buildApp(deps);
  context.own(app);
  await Promise.all([awaitRedis(), deps.oidc.replace(config.oidc)]);
  await app.listen({ host: config.server.host, port: config.server.port, backlog });
  const { port } = app.server.address() as AddressInfo;
  context.logger.info({ host: config.server.host, port }, "listening");

  let hadWorkers = false;
  return {
    port,
    useKeys({ keys, oidc }) {
      logDoubts(context.logger, callerDoubts({ ...config, keys, oidc }));
      deps.keyring.replace(keys);
      void deps.oidc.replace(oidc);
    },
    service: {
      ready() {
        hadWorkers ||= deps.pool.size > 0;
        return [...describeRedis().reasons, ...(hadWorkers ? [] : ["no worker has been reached yet"])];
      },
      health: () => ({
        redis: describeRedis().state,
        workers: deps.pool.size,
        openCalls: deps.guard.openCalls,
      }),
      async drain(signal) {
        const end = (): void => {
          app.server.closeAllConnections();
          deps.recordings.close();
        };
        signal.addEventListener("abort", end, { once: true });
        await app.close();
      },
    },
  };
}

interface Opened {
  readonly deps: GatewayDeps;
  readonly describeRedis: () => { readonly state: "ok" | "degraded"; readonly reasons: readonly string[] };
  readonly awaitRedis: () => Promise<void>;
}

function openDeps(config: SluiceConfig, { own, logger, maxLagMs }: GatewayContext): Opened {
  const { url, prefix, encryptionKey } = config.redis;
  const sealed = encryptionKey === undefined ? {} : { encryptionKey };
  const redis = own(connectRedis(url, "command", { logger }));
  const bulk = own(connectRedis(url, "command", { logger, commandTimeoutMs: batchTimeoutMs }));
  const subscriber = own(connectRedis(url, "subscriber", { logger }));
  const instanceId = randomUUID();
  const health = own(createRedisHealth({ redis }));
  const replies = own(createReplyBus({ subscriber, prefix, instanceId, logger, ...sealed }));
  const { address, token, tls } = config.workers;
  const { ttlMs, leaseMs, maxBytes, maxReaders } = config.events;
  const connectSubscriber = (): RedisConnection => connectRedis(url, "subscriber", { logger });
  const events = own(createEventLog({ redis, connectSubscriber, prefix, ttlMs, leaseMs, ...sealed }));
  const keyLimits = own(createKeyLimits({ redis, prefix }));
  const producer = own(createJobProducer(redis, { prefix }));
  const catalogue = createCatalogue(config);
  const deps: GatewayDeps = {
    server: config.server,
    rerunSent: config.engine.rerunSent,
    queue: config.queue,
    jobTimes: config.jobs,
    lanes: config.lanes,
    logger,
    catalogue,
    keyring: createKeyring(config.keys),
    oidc: createOidcVerifier(),
    guard: own(createLoadGuard({ maxOpenCalls: config.server.maxWaiting, maxLagMs })),
    keyLimits,
    pool: own(createWorkerPool({ address, token, tls, peer: { kind: "gateway", id: instanceId }, logger })),
    producer,
    replies,
    results: own(createResultStore({ redis, prefix, ttlMs: config.outcomes.ttlMs, ...sealed })),
    calls: createCallRegistry({ redis, prefix, ...sealed }),
    claims: createClaimStore({ redis, prefix }),
    jobs: createJobStore({ redis, prefix }),
    tapes: createTapeStore({ redis, prefix, ...sealed }),
    bodies: createBodyStore({ redis, prefix, ...sealed }),
    traces: own(createTraceStore({ redis, prefix, ttlMs: config.trace.ttlMs, logger })),
    batchRules: config.batches,
    batches: createBatchStore({ redis: bulk, prefix, ...sealed }),
    intake: createBatchIntake({ redis: bulk, prefix, ...sealed }),
    prices: createPriceBook(catalogue, config.providers),
    usage: own(createUsageStore({ redis, prefix, keepMs: config.usage.keepMs, logger })),
    budgets: own(createBudgetStore({ redis, prefix, logger })),
    usageKeepMs: config.usage.keepMs,
    events,
    eventReading: { maxReaders },
    recordings: own(createRecordings({ log: events, maxBytes })),
    fleet: createFleetView({ redis, producer, prefix }),
  };
  return {
    deps,
    describeRedis: () => ({ state: health.isDegraded ? "degraded" : "ok", reasons: health.reasons() }),
    awaitRedis: () => replies.ready(AbortSignal.timeout(redisPatienceMs)).catch(() => undefined),
  };
}
