import { expiredItem, type ItemResult } from "#shared/messages/batch-result.ts";
import { chunkItems, createBatchCodec, decodeEntries, decodeResult, type ItemEntry } from "./batch-codec.ts";
import { createBatchKeys } from "./batch-keys.ts";
import { readBatchRecord, type BatchRecord } from "./batch-record.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { createSealer } from "./sealer.ts";

export interface BatchStoreOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly encryptionKey?: string;
}

interface BatchPage {
  /** Newest first. */
  readonly batches: readonly BatchRecord[];
  readonly hasMore: boolean;
}

export interface BatchPageQuery {
  readonly limit: number;
  readonly cursor?: { readonly side: "after" | "before"; readonly id: string };
}

export interface EndedItem extends ItemResult {
  readonly customId: string;
}

/** Batches as their owners see them: another key's batch is none. Everything rejects while Redis is away. */
export interface BatchStore {
  find(keyId: string, batchId: string): Promise<BatchRecord | undefined>;
  /** Undefined when the cursor is no batch of this key. */
  page(keyId: string, query: BatchPageQuery): Promise<BatchPage | undefined>;
  /** Begins to cancel; without effect on one that is being cancelled or has ended. False: no such batch. */
  cancel(keyId: string, batchId: string): Promise<boolean>;
  delete(keyId: string, batchId: string): Promise<"deleted" | "absent" | "running">;
  /** The results of an ended batch, some at a time. */
  results(batch: BatchRecord): AsyncIterable<readonly EndedItem[]>;
}

/** Results read at a time: each may be a Message of several hundred KB. */
const resultsAtOnce = 16;

export function createBatchStore(options: BatchStoreOptions): BatchStore {
  const { client } = options.redis;
  const keys = createBatchKeys(options.prefix);
  const codec = createBatchCodec(options.encryptionKey ? createSealer(options.encryptionKey) : undefined);
  const cancelBatch = loadScript(client, new URL("cancel-batch.lua", import.meta.url));
  const deleteBatch = loadScript(client, new URL("delete-batch.lua", import.meta.url));

  async function read(batchId: string): Promise<BatchRecord | undefined> {
    return readBatchRecord(batchId, await client.hgetall(keys.meta(batchId)));
  }
  async function readEntries(batchId: string, chunk: number): Promise<readonly ItemEntry[]> {
    const packed = await client.hgetBuffer(keys.index(batchId), String(chunk));
    if (!packed) throw new Error("the index of a batch is gone");
    return decodeEntries(codec.unpack(packed, keys.index(batchId) + chunk));
  }
  async function readResults(
    batch: BatchRecord,
    entries: readonly ItemEntry[],
    first: number,
  ): Promise<readonly EndedItem[]> {
    const key = keys.results(batch.id);
    const stored = await client.hmgetBuffer(key, ...entries.map((_, at) => String(first + at)));
    return entries.map(({ customId }, at) => {
      const value = stored[at];
      const item = first + at;
      return { customId, ...(value ? decodeResult(value, key + item, codec) : restOf(batch)) };
    });
  }
  return {
    async find(keyId, batchId) {
      const batch = await read(batchId);
      return batch?.keyId === keyId ? batch : undefined;
    },
    async page(keyId, { limit, cursor }) {
      const list = keys.list(keyId);
      const rank = cursor === undefined ? -1 : await client.zrevrank(list, cursor.id);
      if (rank === null) return undefined;
      const from = cursor?.side === "before" ? Math.max(0, rank - limit) : rank + 1;
      const to = cursor?.side === "before" ? rank - 1 : rank + limit;
      // One more than asked for, to know whether there is more.
      const ids = to < from ? [] : await client.zrevrange(list, from, to + 1);
      const batches = await Promise.all(ids.slice(0, to - from + 1).map(read));
      const known = batches.filter((batch) => batch !== undefined);
      return {
        batches: known,
        hasMore: cursor?.side === "before" ? from > 0 : ids.length > to - from + 1,
      };
    },
    async cancel(keyId, batchId) {
      return (await cancelBatch([keys.meta(batchId)], [keyId, Date.now(), keys.newsChannel, batchId])) === 1;
    },
    async delete(keyId, batchId) {
      const rest = [keys.index, keys.results, keys.bodies, keys.open, keys.sent].map((name) => name(batchId));
      const deleted = await deleteBatch([keys.meta(batchId), keys.list(keyId), ...rest], [keyId, batchId]);
      if (deleted === 1) return "deleted";
      return deleted === 0 ? "absent" : "running";
    },
    async *results(batch) {
      for (let chunk = 0; chunk * chunkItems < batch.total; chunk++) {
        const entries = await readEntries(batch.id, chunk);
        for (let at = 0; at < entries.length; at += resultsAtOnce)
          yield await readResults(batch, entries.slice(at, at + resultsAtOnce), chunk * chunkItems + at);
      }
    },
  };
}

function restOf({ rest }: BatchRecord): ItemResult {
  return rest === undefined ? expiredItem : { ...expiredItem, end: rest.end };
}
