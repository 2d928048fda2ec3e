import { lanes, type Lane } from "#shared/queue/job.ts";
import type { JobProducer } from "#shared/queue/job-producer.ts";
import { readOldestJobs, type OldestJobs } from "#shared/queue/lane-ages.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import { readFleetLimits, type FleetLimits } from "#shared/store/fleet-limits.ts";

/** The fleet's targets and lanes at one moment. */
export interface FleetSnapshot {
  readonly at: number;
  readonly limits: FleetLimits;
  readonly depth: Awaited<ReturnType<JobProducer["depth"]>>;
  readonly oldest: OldestJobs;
}

export interface FleetView {
  /** At most half a second old. Rejects while Redis is away. */
  read(): Promise<FleetSnapshot>;
}

export interface FleetViewOptions {
  readonly redis: RedisConnection;
  readonly producer: Pick<JobProducer, "depth">;
  readonly prefix: string;
}

/** However many ask, Redis is asked twice a second. */
const freshMs = 500;

export function createFleetView(options: FleetViewOptions): FleetView {
  let reading: Promise<FleetSnapshot> | undefined;
  let readAt = 0;
  return {
    read() {
      const now = Date.now();
      if (reading && now - readAt < freshMs) return reading;
      readAt = now;
      const mine = readSnapshot(options);
      reading = mine;
      // What failed is asked again by the next one.
      mine.catch(() => {
        if (reading === mine) reading = undefined;
      });
      return mine;
    },
  };
}

async function readSnapshot({ redis, producer, prefix }: FleetViewOptions): Promise<FleetSnapshot> {
  const [limits, depth, oldest] = await Promise.all([
    readFleetLimits({ redis, prefix }),
    producer.depth(),
    readOldestJobs(redis, { prefix }),
  ]);
  return { at: Date.now(), limits, depth, oldest };
}

/** The lanes as callers see them. */
export function describeLanes({ at, depth, oldest }: FleetSnapshot): Record<Lane, object> {
  const entries = lanes.map((lane) => {
    const { waiting, delayed, active } = depth[lane];
    const since = oldest[lane];
    const oldestMs = since === undefined ? null : Math.max(0, at - since);
    return [lane, { waiting, parked: delayed, running: active, oldest_waiting_ms: oldestMs }] as const;
  });
  return Object.fromEntries(entries) as Record<Lane, object>;
}
