import { randomUUID } from "node:crypto";
import type { SluiceConfig } from "#shared/config/schema.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { logDoubts, providerDoubts } from "#shared/routing/config-doubts.ts";
import { startWorkerServer, type WorkerServer } from "#shared/rpc/worker-server.ts";
import { withDeadline } from "#shared/runtime/deadline.ts";
import type { Service, ServiceContext } from "#shared/runtime/run-service.ts";
import { createAffinityStore } from "#shared/store/affinity.ts";
import { createBodyStore } from "#shared/store/body-store.ts";
import { createCallRegistry } from "#shared/store/call-registry.ts";
import { connectRedis, type RedisConnection } from "#shared/store/connect-redis.ts";
import { createLimitsReporter } from "#shared/store/fleet-limits.ts";
import { createTargetBoard } from "#shared/store/target-board.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { createEngineDeps } from "./engine/engine-deps.ts";
import { createProviders } from "./engine/provider.ts";
import { createCallHandler, streamLimits, type CallHandlerDeps } from "./handle-call.ts";
import { reportLimits } from "./report-limits.ts";

export interface Worker {
  readonly service: Service;
  readonly server: WorkerServer;
  /** Reads the betas table again, and takes over the rules of these providers. Throws when the table cannot be used. */
  readonly useBetas: (config: SluiceConfig) => void;
}

/** How long the start waits for Redis; without it a worker uses what it finds out by itself. */
const redisPatienceMs = 3000;

/** Opens everything a worker stands on, then listens. What is opened is the context's to close. */
export async function startWorker(config: SluiceConfig, context: ServiceContext): Promise<Worker> {
  const { logger } = context;
  logDoubts(logger, providerDoubts(config));
  const redis = context.own(connectRedis(config.redis.url, "command", { logger }));
  const deps = openDeps(config, context, redis);
  const handler = createCallHandler(deps);
  await waitForRedis(redis, context.signal);
  const { listen, token, tls } = config.workers;
  const server = context.own(await startWorkerServer({ listen, token, tls, logger, handler }));
  logger.info({ address: server.address, providers: Object.keys(config.providers) }, "listening");
  return {
    server,
    useBetas: ({ providers }) => {
      deps.engine.betaTable.reload();
      deps.engine.providers.useBetas(providers);
    },
    service: {
      ready: () => true,
      health: () => ({ redis: redis.isReady ? "ok" : "degraded", calls: server.calls }),
      drain: (signal) => server.drain(signal),
    },
  };
}

function openDeps(config: SluiceConfig, context: ServiceContext, redis: RedisConnection): CallHandlerDeps {
  const { logger } = context;
  const { url, prefix, encryptionKey } = config.redis;
  const subscriber = context.own(connectRedis(url, "subscriber", { logger }));
  const board = context.own(createTargetBoard({ redis, subscriber, prefix, logger }));
  const { connectTimeoutMs } = config.engine;
  const calls = createCallRegistry({ redis, prefix });
  const laterDeadline = (callId: string): Promise<number | undefined> =>
    calls.laterDeadline(callId).catch(() => undefined);
  const providers = context.own(createProviders(config.providers, { connectTimeoutMs }));
  const catalogue = createCatalogue(config);
  const engine = createEngineDeps({
    config: config.engine,
    providers,
    catalogue,
    board,
    metrics,
    laterDeadline,
    logger,
  });
  const reporter = createLimitsReporter({ redis, prefix, workerId: randomUUID() });
  context.own(reportLimits({ paces: engine.paces, reporter, metrics }));
  return {
    engine,
    catalogue,
    affinity: createAffinityStore({ redis, prefix }),
    bodies: createBodyStore({ redis, prefix, ...(encryptionKey === undefined ? {} : { encryptionKey }) }),
    streams: streamLimits(config),
    logger,
  };
}

async function waitForRedis(redis: RedisConnection, signal: AbortSignal): Promise<void> {
  const patience = withDeadline(signal, Date.now() + redisPatienceMs);
  await redis.ready(patience.signal).catch(() => undefined);
  patience.clear();
}
