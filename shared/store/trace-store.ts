import type { Bill } from "#shared/messages/cost.ts";
import type { ErrorEnvelope } from "#shared/messages/error.ts";
import type { CallFacts } from "#shared/messages/outcome.ts";
import type { Redis } from "ioredis";
import type { Operation } from "#shared/messages/call.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { watchRoom } from "./memory-room.ts";
import { createStoreKeys, scopedId } from "./store-keys.ts";

/** What a call went through, for `GET /v1/requests/{id}`. Times are milliseconds since the epoch. */
export interface StoredTrace extends CallFacts {
  /** The call id. */
  readonly id: string;
  /** As on the answer: the upstream's id, or the call id. */
  readonly requestId: string;
  readonly keyId: string;
  readonly operation: Operation;
  /** Absent, like the model, when the call was refused before its body was read. */
  readonly stream?: boolean;
  readonly model?: string;
  readonly status: number;
  /** What a call was told that the gateway refused. */
  readonly error?: ErrorEnvelope["error"];
  readonly acceptedAt: number;
  readonly endedAt: number;
  readonly queueMs: number;
  readonly firstContentAt?: number;
  /** Absent when nothing was used. */
  readonly cost?: Bill["cost"];
}

export interface TraceStoreOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly ttlMs: number;
  readonly logger: Logger;
}

export interface TraceStore {
  /** Written with others a little later; dropped while Redis is away or short of memory. */
  put(trace: StoredTrace): void;
  /** By call id or by the id of any attempt; undefined for another key's. */
  get(keyId: string, id: string): Promise<StoredTrace | undefined>;
  /** How long a trace is kept. */
  readonly ttlMs: number;
  /** Traces that were not written. */
  readonly dropped: number;
  /** Writes what waits. */
  close(): Promise<void>;
}

const flushMs = 100;
const mostPerFlush = 200;
/**
 * Traces lie in hashes, one for each of so many parts of their time to live: a field costs Redis a quarter of a key with
 * a time to live of its own, and reading, which is rare, asks them all.
 */
const buckets = 360;
/** Traces go before calls do: readiness turns red at 90 %. */
const mostMemory = 0.8;
/** Marks a value as the id of the call, not its trace. */
const pointerMark = "@";

export function createTraceStore(options: TraceStoreOptions): TraceStore {
  const { redis, logger, ttlMs } = options;
  const keys = createStoreKeys(options.prefix);
  const bucketMs = Math.max(1000, ttlMs / buckets);
  const hasRoom = watchRoom(redis, mostMemory);
  let waiting: StoredTrace[] = [];
  let timer: NodeJS.Timeout | undefined;
  let dropped = 0;
  let told = false;

  function drop(count: number, reason: string): void {
    dropped += count;
    if (!told) logger.warn({ count, reason }, "traces dropped");
    told = true;
  }
  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return;
    if (!redis.isReady) return drop(batch.length, "redis is away");
    if (!(await hasRoom())) return drop(batch.length, "redis is short of memory");
    const key = keys.traces(Math.floor(Date.now() / bucketMs));
    try {
      await Promise.all([
        redis.client.hset(key, ...batch.flatMap(fieldsOf)),
        redis.client.pexpire(key, Math.ceil(ttlMs + bucketMs)),
      ]);
      told = false;
    } catch {
      drop(batch.length, "redis did not take them");
    }
  }
  return {
    put(trace) {
      if (waiting.push(trace) >= mostPerFlush) void flush();
      else timer ??= setTimeout(() => void flush(), flushMs).unref();
    },
    async get(keyId, id) {
      const last = Math.floor(Date.now() / bucketMs);
      const names = Array.from({ length: Math.ceil(ttlMs / bucketMs) + 1 }, (_, back) => keys.traces(last - back));
      const text = await findTrace(redis.client, names, { keyId, id });
      // Our own JSON, written by `put`.
      return text ? (JSON.parse(text) as StoredTrace) : undefined;
    },
    ttlMs,
    get dropped() {
      return dropped;
    },
    close: flush,
  };
}

/** Fields and values of a trace and of the pointers to it. */
function fieldsOf(trace: StoredTrace): string[] {
  const fields = [scopedId(trace.keyId, trace.id), JSON.stringify(trace)];
  const others = new Set(trace.attempts.map(({ upstreamRequestId }) => upstreamRequestId));
  others.add(trace.requestId);
  others.delete(trace.id);
  for (const id of others) {
    // A pointer may never take the place of a trace: call ids are ours, upstream's ids are not.
    if (id === undefined || id.startsWith("call_")) continue;
    fields.push(scopedId(trace.keyId, id), pointerMark + trace.id);
  }
  return fields;
}

interface Wanted {
  readonly keyId: string;
  readonly id: string;
}

/** Asks all buckets in one write, the latest first; a pointer lies beside its trace. */
async function findTrace(client: Redis, buckets: readonly string[], { keyId, id }: Wanted): Promise<string | null> {
  const field = scopedId(keyId, id);
  const answers = await Promise.all(buckets.map((bucket) => client.hget(bucket, field)));
  const at = answers.findIndex((answer) => answer !== null);
  const found = answers[at] ?? null;
  if (!found?.startsWith(pointerMark)) return found;
  return client.hget(buckets[at] ?? "", scopedId(keyId, found.slice(pointerMark.length)));
}
