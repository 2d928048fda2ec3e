import type { RedisConnection } from "./connect-redis.ts";
import { readMemory } from "./redis-health.ts";

const memoryCheckMs = 5000;

/**
 * Tells whether less than this share of Redis' memory is in use. Asks Redis at most every five seconds, and only while
 * somebody wants to know; keeps the last answer when Redis does not answer.
 */
export function watchRoom(redis: RedisConnection, mostMemory: number): () => Promise<boolean> {
  let checkedAt = 0;
  let room = true;
  return async () => {
    if (Date.now() - checkedAt > memoryCheckMs) {
      checkedAt = Date.now();
      const memory = await readMemory(redis).catch(() => undefined);
      if (memory) room = memory.used <= mostMemory;
    }
    return room;
  };
}
