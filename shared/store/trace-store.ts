import type { Bill } from "#shared/messages/cost.ts";
import type { CallFacts } from "#shared/messages/outcome.ts";
import type { Operation } from "#shared/messages/call.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript, type ScriptArgument } from "./load-script.ts";
import { watchRoom } from "./memory-room.ts";
import { createStoreKeys, type StoreKeys } from "./store-keys.ts";

/** What a call went through, for `GET /v1/requests/{id}`. Times are milliseconds since the epoch. */
export interface StoredTrace extends CallFacts {
  /** The call id. */
  readonly id: string;
  /** As on the answer: the upstream's id, or the call id. */
  readonly requestId: string;
  readonly keyId: string;
  readonly operation: Operation;
  readonly stream: boolean;
  readonly model: string;
  readonly status: number;
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
/** Traces go before calls do: readiness turns red at 90 %. */
const mostMemory = 0.8;
/** Marks a value as the id of the call, not its trace. */
const pointerMark = "@";

export function createTraceStore(options: TraceStoreOptions): TraceStore {
  const { redis, logger, ttlMs } = options;
  const keys = createStoreKeys(options.prefix);
  const writeTraces = loadScript(redis.client, "write-traces");
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
    const names: string[] = [];
    const values: ScriptArgument[] = [Math.ceil(ttlMs)];
    for (const trace of batch) collect(trace, keys, { names, values });
    try {
      await writeTraces(names, values);
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
      const found = await redis.client.get(keys.trace(keyId, id));
      const text = found?.startsWith(pointerMark)
        ? await redis.client.get(keys.trace(keyId, found.slice(pointerMark.length)))
        : found;
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

function collect(trace: StoredTrace, keys: StoreKeys, into: { names: string[]; values: ScriptArgument[] }): void {
  into.names.push(keys.trace(trace.keyId, trace.id));
  into.values.push(JSON.stringify(trace));
  const others = new Set(trace.attempts.map(({ upstreamRequestId }) => upstreamRequestId));
  others.add(trace.requestId);
  others.delete(trace.id);
  for (const id of others) {
    // A pointer may never take the place of a trace: call ids are ours, upstream's ids are not.
    if (id === undefined || id.startsWith("call_")) continue;
    into.names.push(keys.trace(trace.keyId, id));
    into.values.push(pointerMark + trace.id);
  }
}
