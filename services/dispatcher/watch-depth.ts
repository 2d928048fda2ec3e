import { lanes } from "#shared/queue/job.ts";
import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";

export interface WatchDepthDeps {
  readonly redis: RedisConnection;
  readonly producer: Pick<JobProducer, "depth">;
  readonly metrics: Pick<Metrics, "queueDepth">;
}

const everyMs = 5000;

/** Keeps the queue depth gauge up to date; every dispatcher tells the same. Returns what stops it. */
export function watchDepth({ redis, producer, metrics }: WatchDepthDeps): () => void {
  const read = async (): Promise<void> => {
    if (!redis.isReady) return;
    const depth = await producer.depth().catch(() => undefined);
    if (!depth) return;
    for (const lane of lanes)
      for (const state of ["waiting", "delayed", "active"] as const)
        metrics.queueDepth.set({ lane, state }, depth[lane][state]);
  };
  const timer = setInterval(() => void read(), everyMs).unref();
  void read();
  return () => clearInterval(timer);
}
