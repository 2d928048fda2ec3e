import { GatewayError } from "#shared/messages/error.ts";
import { erroredItem } from "#shared/messages/batch-result.ts";
import type { ForwardedHeaders } from "#shared/messages/call.ts";
import { chunkItems, createBatchCodec, encodeEntries, encodeResult, type ItemEntry } from "./batch-codec.ts";
import { createBatchKeys, type BatchKeys } from "./batch-keys.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript, type RedisScript, type ScriptArgument } from "#shared/runtime/load-script.ts";
import { readMemory } from "./redis-health.ts";
import { createSealer } from "./sealer.ts";

export interface BatchIntakeOptions {
  /** One of its own: commands of hundreds of KiB must not stand before those of calls. */
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly encryptionKey?: string;
}

/** Takes in new batches: items are stored as they come, and become a batch all at once or never. */
export interface BatchIntake {
  /** Rejects with `overloaded` while Redis is away or short of memory, `rate_limited` when the key has too much open. */
  begin(batch: NewBatch): Promise<OpenIntake>;
}

export interface NewBatch {
  readonly id: string;
  readonly keyId: string;
  readonly headers: ForwardedHeaders;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly keepUntil: number;
  /** When the batch itself is forgotten. */
  readonly forgetAt: number;
  /** Most items of the key's open batches together. */
  readonly mostOpenItems: number;
}

/** An item that is to be run. */
export interface NewItem {
  readonly entry: ItemEntry;
  readonly params: Buffer;
}

/** An item that has ended already. */
export interface SpoiltItem {
  readonly entry: ItemEntry;
  readonly error: GatewayError;
  readonly requestId: string;
}

export interface OpenIntake {
  /** Undefined when the next item may come at once; else resolves when it may. Rejects like `begin`. */
  add(item: NewItem | SpoiltItem): Promise<void> | undefined;
  /** Makes the batch. Rejects like `begin`. */
  commit(): Promise<void>;
  /** Deletes what was stored. Never fails: what Redis is away for goes by itself. */
  discard(): Promise<void>;
}

/** What waits to be written outlives young collections and is garbage only full ones find: the less the better. */
const flushBytes = 65_536;
/** Writes under way: enough to keep Redis busy, few enough to know of its trouble soon. */
const mostWrites = 2;
/** What is stored of a batch that is not made goes after this. */
const halfMadeTtlMs = 120_000;
const mostMemory = 0.7;
const checkEveryBytes = 1_048_576;
const retryAfterS = 30;

export function createBatchIntake(options: BatchIntakeOptions): BatchIntake {
  const { redis } = options;
  const shared: IntakeDeps = {
    redis,
    keys: createBatchKeys(options.prefix),
    codec: createBatchCodec(options.encryptionKey ? createSealer(options.encryptionKey) : undefined),
    writeItems: loadScript(redis.client, new URL("write-items.lua", import.meta.url)),
    openBatch: loadScript(redis.client, new URL("open-batch.lua", import.meta.url)),
  };
  return {
    async begin(batch) {
      if (!redis.isReady) throw unavailable();
      const intake = new Intake(batch, shared);
      await intake.checkRoom();
      await intake.checkQuota();
      return intake;
    },
  };
}

interface IntakeDeps {
  readonly redis: RedisConnection;
  readonly keys: BatchKeys;
  readonly codec: ReturnType<typeof createBatchCodec>;
  readonly writeItems: RedisScript;
  readonly openBatch: RedisScript;
}

/** States: open → committed or discarded. The first failed write fails everything after it. */
class Intake implements OpenIntake {
  readonly #batch: NewBatch;
  readonly #deps: IntakeDeps;
  readonly #writes = new Set<Promise<void>>();
  #failure: unknown;
  #count = 0;
  #errored = 0;
  #otherOpen = 0;
  #entries: ItemEntry[] = [];
  #chunk = 0;
  #bodies: ScriptArgument[] = [];
  #results: ScriptArgument[] = [];
  #bytes = 0;
  #uncheckedBytes = 0;

  constructor(batch: NewBatch, deps: IntakeDeps) {
    this.#batch = batch;
    this.#deps = deps;
  }

  add(item: NewItem | SpoiltItem): Promise<void> | undefined {
    const index = this.#count;
    this.#count += 1;
    if (this.#otherOpen + this.#count - this.#errored > this.#batch.mostOpenItems) throw tooManyOpen(this.#batch);
    this.#entries.push(item.entry);
    if (this.#entries.length === chunkItems) this.#endChunk();
    const { codec, keys } = this.#deps;
    if ("error" in item) {
      this.#errored += 1;
      const place = keys.results(this.#batch.id) + index;
      this.#results.push(index, encodeResult(erroredItem(item.error, item.requestId), place, codec));
      return this.#flushIfDue();
    }
    const packed = codec.pack(item.params, keys.itemBody(this.#batch.id, index));
    if (Buffer.isBuffer(packed)) return this.#addBody(index, packed);
    return packed.then((bytes) => this.#addBody(index, bytes));
  }

  async commit(): Promise<void> {
    if (this.#entries.length > 0) this.#endChunk();
    this.#flush();
    await this.#drain(0);
    await this.checkRoom();
    const { id, keyId, createdAt, expiresAt, keepUntil, forgetAt, headers, mostOpenItems } = this.#batch;
    const { keys, openBatch } = this.#deps;
    const result = await openBatch(
      [
        keys.meta(id),
        keys.bodies(id),
        keys.index(id),
        keys.results(id),
        keys.list(keyId),
        keys.openItems(keyId),
        keys.openBatches,
      ],
      [
        id,
        keyId,
        createdAt,
        expiresAt,
        keepUntil,
        forgetAt,
        this.#count,
        this.#errored,
        JSON.stringify(headers),
        mostOpenItems,
        keys.newsChannel,
      ],
    ).catch(rejectUnavailable);
    if (result === 0) throw tooManyOpen(this.#batch);
    if (result !== 1) throw unavailable();
  }

  async discard(): Promise<void> {
    await Promise.allSettled(this.#writes);
    const { id, keyId } = this.#batch;
    const { redis, keys } = this.#deps;
    // An opened batch whose opening was not heard of is one that nobody knows: it goes too.
    const names = [keys.meta(id), keys.bodies(id), keys.index(id), keys.results(id)];
    await Promise.allSettled([
      redis.client.hdel(keys.openBatches, id),
      redis.client.hdel(keys.openItems(keyId), id),
      redis.client.zrem(keys.list(keyId), id),
      redis.client.unlink(...names),
    ]);
  }

  async checkRoom(): Promise<void> {
    this.#uncheckedBytes = 0;
    const memory = await readMemory(this.#deps.redis).catch(rejectUnavailable);
    if (memory.used > mostMemory)
      throw new GatewayError("overloaded", "There is no room for this batch at the moment.", { retryAfterS });
  }

  async checkQuota(): Promise<void> {
    const { redis, keys } = this.#deps;
    const counts = await redis.client.hvals(keys.openItems(this.#batch.keyId)).catch(rejectUnavailable);
    this.#otherOpen = counts.reduce((sum, count) => sum + Number(count), 0);
    if (this.#otherOpen >= this.#batch.mostOpenItems) throw tooManyOpen(this.#batch);
  }

  #addBody(index: number, packed: Buffer): Promise<void> | undefined {
    this.#bodies.push(index, packed);
    this.#bytes += packed.length;
    return this.#flushIfDue();
  }

  #flushIfDue(): Promise<void> | undefined {
    if (this.#bytes >= flushBytes) this.#flush();
    if (this.#failure !== undefined) throw toUnavailable(this.#failure);
    if (this.#uncheckedBytes >= checkEveryBytes) return this.#drain(mostWrites - 1).then(() => this.checkRoom());
    return this.#writes.size < mostWrites ? undefined : this.#drain(mostWrites - 1);
  }

  #endChunk(): void {
    const { keys, codec } = this.#deps;
    const name = this.#chunk;
    this.#chunk += 1;
    const packed = codec.packNow(encodeEntries(this.#entries), keys.index(this.#batch.id) + name);
    this.#entries = [];
    this.#flush([name, packed]);
  }

  /** What was added last, and its chunk of the index if that is complete. */
  #flush(chunk: readonly ScriptArgument[] = ["", ""]): void {
    const { id } = this.#batch;
    const { keys, writeItems } = this.#deps;
    const args = [halfMadeTtlMs, ...chunk, this.#bodies.length / 2, ...this.#bodies, ...this.#results];
    this.#uncheckedBytes += this.#bytes;
    this.#bodies = [];
    this.#results = [];
    this.#bytes = 0;
    const write: Promise<void> = writeItems([keys.bodies(id), keys.index(id), keys.results(id)], args).then(
      () => void this.#writes.delete(write),
      (reason: unknown) => {
        this.#failure ??= reason;
        this.#writes.delete(write);
      },
    );
    this.#writes.add(write);
  }

  /** Resolves when no more writes than that are under way; rejects if one failed. */
  async #drain(most: number): Promise<void> {
    while (this.#writes.size > most) await Promise.race(this.#writes);
    if (this.#failure !== undefined) throw toUnavailable(this.#failure);
  }
}

function unavailable(cause?: unknown): GatewayError {
  return new GatewayError("overloaded", "Batches are not available at the moment.", { retryAfterS: 5, cause });
}

function toUnavailable(reason: unknown): GatewayError {
  return reason instanceof GatewayError ? reason : unavailable(reason);
}

function rejectUnavailable(reason: unknown): never {
  throw toUnavailable(reason);
}

function tooManyOpen({ mostOpenItems }: NewBatch): GatewayError {
  const words = `This key's batches may have ${mostOpenItems} requests open at a time.`;
  return new GatewayError("rate_limited", words, { retryAfterS: 60 });
}
