import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";

/** The right to do something that one process of all may do at a time. Rejects while Redis is away. */
export interface Lease {
  /** Takes it or goes on holding it for so long; false: another has it. */
  hold(ms: number): Promise<boolean>;
  release(): Promise<void>;
}

export function createLease(redis: RedisConnection, key: string, holder: string): Lease {
  const holdLease = loadScript(redis.client, new URL("hold-lease.lua", import.meta.url));
  const releaseLease = loadScript(redis.client, new URL("release-lease.lua", import.meta.url));
  return {
    hold: async (ms) => (await holdLease([key], [holder, ms])) === 1,
    async release() {
      await releaseLease([key], [holder]);
    },
  };
}
