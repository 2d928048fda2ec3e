import { lanes, type Lane } from "./job.ts";
import { queuePrefix, type QueueConnection } from "./queue-connection.ts";

/** When the oldest job that waits in each lane, parked or not, was put there (milliseconds since the epoch). */
export type OldestJobs = Readonly<Record<Lane, number | undefined>>;

/** Parked jobs come back at the queue's end and lie by when they are due: the oldest is found among so many of each. */
const looked = 32;

/** Asks Redis: two round trips, whatever lies in the lanes. Rejects while it is away. */
export async function readOldestJobs(
  connection: QueueConnection,
  options: { readonly prefix: string },
): Promise<OldestJobs> {
  const { client } = connection;
  if (!connection.isReady) throw new Error("redis is away");
  const prefix = queuePrefix(options.prefix);
  const entries = await Promise.all(
    lanes.map(async (lane) => {
      const [waiting, parked] = await Promise.all([
        client.lrange(`${prefix}:${lane}:wait`, -looked, -1),
        client.zrange(`${prefix}:${lane}:delayed`, 0, String(looked - 1)),
      ]);
      const ids = [...waiting, ...parked];
      const times = await Promise.all(ids.map((id) => client.hget(`${prefix}:${lane}:${id}`, "timestamp")));
      // A job that was taken and done meanwhile has none.
      return [lane, oldestOf(times.map(Number).filter((at) => at > 0))] as const;
    }),
  );
  return Object.fromEntries(entries) as Record<Lane, number | undefined>;
}

function oldestOf(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.min(...times);
}
