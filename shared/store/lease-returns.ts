import type { RedisConnection } from "./connect-redis.ts";
import type { StoreKeys } from "./store-keys.ts";

/** Places of ended calls on their way back. */
export interface LeaseReturns {
  add(keyId: string, callId: string): void;
  /** Of what waits for this key as much as a script may get; the caller gives it back, with a command that it sends anyway. */
  take(keyId: string): readonly string[];
  /** Gives back all that waits. */
  flush(): Promise<void>;
}

/** How long other gateways may see a place as taken that is free. */
const flushMs = 20;
/** A script can hand on some thousands of arguments. */
const mostTaken = 1000;
const none: readonly string[] = [];

/**
 * They wait a moment for the key's next call: its admission takes them along, which saves a command and a write per
 * call. A place that could not be given back becomes free by itself.
 */
export function createLeaseReturns(redis: RedisConnection, keys: StoreKeys): LeaseReturns {
  const waiting = new Map<string, string[]>();
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = [...waiting];
    waiting.clear();
    if (!redis.isReady) return;
    await Promise.allSettled(batch.map(([keyId, callIds]) => redis.client.zrem(keys.leases(keyId), ...callIds)));
  }
  return {
    add(keyId, callId) {
      const calls = waiting.get(keyId);
      if (calls) calls.push(callId);
      else waiting.set(keyId, [callId]);
      timer ??= setTimeout(() => void flush(), flushMs);
    },
    take(keyId) {
      const calls = waiting.get(keyId);
      if (!calls) return none;
      if (calls.length > mostTaken) return calls.splice(0, mostTaken);
      waiting.delete(keyId);
      return calls;
    },
    flush,
  };
}
