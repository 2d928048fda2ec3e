import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { SluiceConfig } from "#shared/config/schema.ts";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { createWorkerPool } from "#shared/rpc/worker-pool.ts";
import type { Service, ServiceContext } from "#shared/runtime/run-service.ts";
import { createBatchIntake } from "#shared/store/batch-intake.ts";
import { createBatchStore } from "#shared/store/batch-store.ts";
import { createBodyStore } from "#shared/store/body-store.ts";
import { connectRedis } from "#shared/store/connect-redis.ts";
import { createKeyLimits } from "#shared/store/key-limits.ts";
import { createRedisHealth } from "#shared/store/redis-health.ts";
import { createReplyBus } from "#shared/store/reply-bus.ts";
import { createResultStore } from "#shared/store/result-store.ts";
import { createTraceStore } from "#shared/store/trace-store.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { buildApp } from "./app.ts";
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

/** How long the start waits for Redis; without it calls go straight to the workers. */
const redisPatienceMs = 3000;
const backlog = 4096;
/** Commands of batches are large, and nobody's answer waits for one. */
const batchTimeoutMs = 10_000;

/** Opens everything a gateway stands on, then listens. What is opened is the context's to close. */
export async function startGateway(config: SluiceConfig, context: Omit<ServiceContext, "signal">): Promise<Gateway> {
  const { deps, describeRedis, awaitRedis } = openDeps(config, context);
  const app = buildApp(deps);
  context.own(app);
  await awaitRedis();
  await app.listen({ host: config.server.host, port: config.server.port, backlog });
  const { port } = app.server.address() as AddressInfo;
  context.logger.info({ host: config.server.host, port }, "listening");

  let hadWorkers = false;
  return {
    port,
    useKeys({ keys, oidc }) {
      deps.keyring.replace(keys);
      deps.oidc.replace(oidc);
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
        signal.addEventListener("abort", () => app.server.closeAllConnections(), { once: true });
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

function openDeps(config: SluiceConfig, { own, logger }: Omit<ServiceContext, "signal">): Opened {
  const { url, prefix, encryptionKey } = config.redis;
  const sealed = encryptionKey === undefined ? {} : { encryptionKey };
  const redis = own(connectRedis(url, "command", { logger }));
  const bulk = own(connectRedis(url, "command", { logger, commandTimeoutMs: batchTimeoutMs }));
  const subscriber = own(connectRedis(url, "subscriber", { logger }));
  const instanceId = randomUUID();
  const health = own(createRedisHealth({ redis }));
  const replies = own(createReplyBus({ subscriber, prefix, instanceId, logger, ...sealed }));
  const { address, token, tls } = config.workers;
  const deps: GatewayDeps = {
    server: config.server,
    rerunSent: config.engine.rerunSent,
    queueUse: config.queue.interactive,
    lanes: config.lanes,
    logger,
    catalogue: createCatalogue(config),
    keyring: createKeyring(config.keys),
    oidc: createOidcVerifier(config.oidc),
    guard: own(createLoadGuard({ maxOpenCalls: config.server.maxWaiting })),
    keyLimits: createKeyLimits({ redis, prefix }),
    pool: own(createWorkerPool({ address, token, tls, peer: { kind: "gateway", id: instanceId }, logger })),
    producer: own(createJobProducer(redis, { prefix })),
    replies,
    results: own(createResultStore({ redis, prefix, ttlMs: config.outcomes.ttlMs, ...sealed })),
    bodies: createBodyStore({ redis, prefix, ...sealed }),
    traces: own(createTraceStore({ redis, prefix, ttlMs: config.trace.ttlMs, logger })),
    batchRules: config.batches,
    batches: createBatchStore({ redis: bulk, prefix, ...sealed }),
    intake: createBatchIntake({ redis: bulk, prefix, ...sealed }),
  };
  return {
    deps,
    describeRedis: () => {
      metrics.redisUp.set(redis.isReady ? 1 : 0);
      return { state: health.isDegraded ? "degraded" : "ok", reasons: health.reasons() };
    },
    awaitRedis: () => replies.ready(AbortSignal.timeout(redisPatienceMs)).catch(() => undefined),
  };
}
