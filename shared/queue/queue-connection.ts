import type { Redis } from "ioredis";

/** What the queue needs of a connection to Redis; opened and closed by its owner. */
export interface QueueConnection {
  readonly client: Redis;
  readonly isReady: boolean;
}

/** BullMQ's prefix: the same hash tag as every other key has, so that Redis Cluster keeps all in one slot. */
export function queuePrefix(prefix: string): string {
  return `{${prefix}}`;
}
