import type { RedisConnection } from "./connect-redis.ts";
import { createStoreKeys } from "./store-keys.ts";
import { createTurnReader } from "./turn-reader.ts";
import { within } from "#shared/runtime/within.ts";

/** (provider, upstream model id). */
interface Place {
  readonly provider: string;
  readonly model: string;
}

interface PlaceQuery {
  /** Hash that names the conversation. */
  readonly affinity?: string | undefined;
  /** Message id that a thread goes on from. */
  readonly threadId?: string | undefined;
  readonly containerId?: string | undefined;
}

/** Which target served a conversation last, and which one holds a thread or container. */
export interface AffinityStore {
  /** Never rejects, never takes longer than 50 ms: without Redis nothing is known. */
  places(keyId: string, query: PlaceQuery): Promise<{ affinity?: Place; bound?: Place }>;
  /** Remembers for 5 minutes, as long as prompt caches live; call it for every served call, it renews too. */
  rememberAffinity(keyId: string, hash: string, target: Place): void;
  /**
   * Binds a message of a thread for 10 minutes, a container for 24 hours. Await it before the answer ends. Never
   * rejects: an answer is not worth less because its thread cannot be continued.
   */
  bind(keyId: string, id: string, target: Place): Promise<void>;
}

const capMs = 50;
const bindCapMs = 500;
const affinityTtlMs = 5 * 60_000;
const threadTtlMs = 10 * 60_000;
const containerTtlMs = 24 * 60 * 60_000;
const nowhere = Promise.resolve({});

export function createAffinityStore(options: {
  readonly redis: RedisConnection;
  readonly prefix: string;
}): AffinityStore {
  const { redis } = options;
  const keys = createStoreKeys(options.prefix);
  const read = createTurnReader(redis.client);

  async function find(keyId: string, query: PlaceQuery): Promise<{ affinity?: Place; bound?: Place }> {
    const { affinity, threadId, containerId } = query;
    const boundIds = [threadId, containerId].filter((id) => id !== undefined);
    const names = boundIds.map((id) => keys.bound(keyId, id));
    if (affinity !== undefined) names.push(keys.affinity(keyId, affinity));
    const values = (await within(capMs, read(names))) ?? [];
    const bound = decodePlace(values.slice(0, boundIds.length).find((value) => value !== null));
    const kept = affinity === undefined ? undefined : decodePlace(values[boundIds.length]);
    return { ...(kept ? { affinity: kept } : {}), ...(bound ? { bound } : {}) };
  }
  return {
    places(keyId, query) {
      const asksNothing =
        query.affinity === undefined && query.threadId === undefined && query.containerId === undefined;
      return asksNothing || !redis.isReady ? nowhere : find(keyId, query);
    },
    rememberAffinity(keyId, hash, target) {
      if (!redis.isReady) return;
      redis.client.set(keys.affinity(keyId, hash), encodePlace(target), "PX", affinityTtlMs).catch(() => undefined);
    },
    async bind(keyId, id, target) {
      if (!redis.isReady) return;
      const ttlMs = id.startsWith("container") ? containerTtlMs : threadTtlMs;
      await within(bindCapMs, redis.client.set(keys.bound(keyId, id), encodePlace(target), "PX", ttlMs));
    },
  };
}

/** Providers are named in the config, without a line break; upstream ids hold `:` and `/`. */
function encodePlace({ provider, model }: Place): string {
  return `${provider}\n${model}`;
}

function decodePlace(value: Buffer | null | undefined): Place | undefined {
  const text = value?.toString() ?? "";
  const border = text.indexOf("\n");
  return border > 0 ? { provider: text.slice(0, border), model: text.slice(border + 1) } : undefined;
}
