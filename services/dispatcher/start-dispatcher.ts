import { randomUUID } from "node:crypto";
import type { SluiceConfig } from "#shared/config/schema.ts";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { createPriceBook } from "#shared/routing/price-book.ts";
import { createWorkerPool } from "#shared/rpc/worker-pool.ts";
import type { Service, ServiceContext } from "#shared/runtime/run-service.ts";
import { createBatchFeed } from "#shared/store/batch-feed.ts";
import { createBudgetStore } from "#shared/store/budget-store.ts";
import { createCallRegistry } from "#shared/store/call-registry.ts";
import { connectRedis, type RedisConnection, type RedisPurpose } from "#shared/store/connect-redis.ts";
import { createItemStore } from "#shared/store/item-store.ts";
import { createNativeRuns } from "#shared/store/native-runs.ts";
import { createRedisHealth } from "#shared/store/redis-health.ts";
import { createResultStore } from "#shared/store/result-store.ts";
import { createTraceStore } from "#shared/store/trace-store.ts";
import { createUsageStore } from "#shared/store/usage-store.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { createDispatcher } from "./dispatcher.ts";
import { createKeyBudgets } from "./key-budgets.ts";
import { createNativeTargets } from "./native/native-targets.ts";
import { createJobRecorder } from "./record-job.ts";

export interface RunningDispatcher {
  readonly service: Service;
  /** Takes over the budgets of callers as they are now. */
  useBudgets(identities: Pick<SluiceConfig, "keys" | "oidc">): void;
}

/** Opens what a dispatcher needs and starts it; resolves once Redis is there. A worker may come later. */
export async function startDispatcher(config: SluiceConfig, context: ServiceContext): Promise<RunningDispatcher> {
  const { logger } = context;
  const { url, prefix, encryptionKey } = config.redis;
  const connect = (purpose: RedisPurpose): RedisConnection => context.own(connectRedis(url, purpose, { logger }));
  const redis = connect("command");
  const blocking = connect("blocking");
  const subscriber = connect("subscriber");
  const holder = randomUUID();
  const peer = { kind: "dispatcher", id: holder } as const;
  const pool = context.own(createWorkerPool({ ...config.workers, peer, logger }));
  const health = context.own(createRedisHealth({ redis }));
  const sealing = encryptionKey === undefined ? {} : { encryptionKey };
  const ttlMs = config.outcomes.ttlMs;
  const results = context.own(createResultStore({ redis, subscriber, prefix, ttlMs, ...sealing }));
  const traces = context.own(createTraceStore({ redis, prefix, ttlMs: config.trace.ttlMs, logger }));
  const prices = createPriceBook(createCatalogue(config), config.providers);
  const usage = context.own(createUsageStore({ redis, prefix, keepMs: config.usage.keepMs, logger }));
  const budgets = context.own(createBudgetStore({ redis, prefix, logger }));
  const keyBudgets = createKeyBudgets(config);
  warnWithoutKeys(config, logger);
  const producer = context.own(createJobProducer(redis, { prefix }));
  const feed = createBatchFeed({ redis, subscriber, prefix, holder, ...sealing });
  const items = createItemStore({ redis, prefix, ...sealing });
  await Promise.all([redis.ready(context.signal), blocking.ready(context.signal)]);
  const dispatcher = context.own(
    createDispatcher({
      redis,
      blocking,
      subscriber,
      results,
      calls: createCallRegistry({ redis, prefix }),
      recorders: { job: createJobRecorder({ results, traces, prices, usage, budgets, logger }) },
      pool,
      producer,
      feed,
      items,
      runs: createNativeRuns({ redis, prefix }),
      nativeTargetOf: createNativeTargets(config),
      traces,
      prices,
      usage,
      budgets,
      keyBudgets,
      window: config.batches.window,
      prefix,
      concurrency: config.lanes,
      lockMs: config.queue.lockMs,
      logger,
      metrics,
    }),
  );
  const service: Service = {
    ready: () => [
      ...health.reasons(),
      ...(health.isDegraded ? ["redis is away"] : []),
      ...(pool.size === 0 ? ["no worker"] : []),
    ],
    health: () => ({ running: dispatcher.running, unsettled: dispatcher.unsettled, workers: pool.size }),
    drain: (signal) => dispatcher.drain(signal),
  };
  return {
    service,
    useBudgets: (identities) => {
      keyBudgets.replace(identities);
      warnWithoutKeys(identities, logger);
    },
  };
}

/** Gateways know budgets by themselves; whose items a dispatcher sends it knows by its own config only. */
function warnWithoutKeys({ keys, oidc }: Pick<SluiceConfig, "keys" | "oidc">, logger: Logger): void {
  if (keys.length > 0 || oidc.length > 0) return;
  const advice = "give dispatchers the keys and oidc of the gateways' config; the keys' secrets may lack";
  logger.warn({ advice }, "no keys in this config: items of batches are held to no budget");
}
