import { createBatchCodec } from "./batch-codec.ts";
import { createBatchKeys, splitItemBody } from "./batch-keys.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { createSealer } from "./sealer.ts";
import { createStoreKeys } from "./store-keys.ts";

export interface BodyStoreOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  /** Encrypts the bodies; then no body should travel inside a job. */
  readonly encryptionKey?: string;
}

/**
 * Bodies of queued calls: written once by the gateway, read once by the worker, dropped when the call is settled. Those of
 * a batch's items are written otherwise, and are read here too.
 */
export interface BodyStore {
  /** True when bodies must not lie in a job in the clear: give every one of them to `put`. */
  readonly isSealed: boolean;
  put(callId: string, bytes: Buffer, ttlMs: number): Promise<string>;
  /** Undefined when it is gone. Throws when the key names no body or the bytes do not decrypt. */
  read(key: string): Promise<Buffer | undefined>;
  /** For a call that was not enqueued after all. Never fails: the key expires by itself. */
  drop(key: string): void;
}

export function createBodyStore(options: BodyStoreOptions): BodyStore {
  const { client } = options.redis;
  const keys = createStoreKeys(options.prefix);
  const sealer = options.encryptionKey ? createSealer(options.encryptionKey) : undefined;
  const allKeys = keys.body("");
  const batchKeys = createBatchKeys(options.prefix);
  const codec = createBatchCodec(sealer);
  return {
    isSealed: sealer !== undefined,
    async put(callId, bytes, ttlMs) {
      const key = keys.body(callId);
      await client.set(key, sealer ? sealer.seal(bytes, key) : bytes, "PX", Math.max(1, Math.ceil(ttlMs)));
      return key;
    },
    async read(key) {
      const item = splitItemBody(key, batchKeys);
      if (item) {
        const packed = await client.hgetBuffer(item.hash, item.item);
        return packed ? codec.unpack(packed, key) : undefined;
      }
      // The key comes with a call: nothing but a body may be read by it.
      if (!key.startsWith(allKeys)) throw new Error("not the key of a body");
      const bytes = await client.getBuffer(key);
      if (bytes === null) return undefined;
      return sealer ? sealer.open(bytes, key) : bytes;
    },
    drop(key) {
      client.unlink(key).catch(() => undefined);
    },
  };
}
