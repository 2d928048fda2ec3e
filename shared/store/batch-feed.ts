import type { Redis } from "ioredis";
import { createBatchCodec, chunkItems, decodeEntries, type BatchCodec, type ItemHead } from "./batch-codec.ts";
import { createBatchKeys } from "./batch-keys.ts";
import { readBatchRecord, type BatchRecord } from "./batch-record.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { createLease, type Lease } from "./lease.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { createSealer } from "./sealer.ts";
import { createStoreKeys } from "./store-keys.ts";
import { subscribeChannel } from "./subscribe-channel.ts";

export interface BatchFeedOptions {
  readonly redis: RedisConnection;
  readonly subscriber: RedisConnection;
  readonly prefix: string;
  readonly encryptionKey?: string;
  /** Names this process. */
  readonly holder: string;
}

/** An item on its way into the lane. */
export interface FedItem {
  readonly index: number;
  readonly head: ItemHead;
  readonly bodyKey: string;
}

/** Why a batch gave no items: another feeds, it is being cancelled or has ended, its window is full, none are left. */
type TakeRefusal = "lease_lost" | "closed" | "full" | "taken";

/**
 * The open batches, for the one process of all that feeds them into the lane. What it does to a batch does nothing once
 * the lease is another's. Everything rejects while Redis is away.
 */
export interface BatchFeed {
  readonly lease: Lease;
  /** Id and key of every open batch. */
  openBatches(): Promise<ReadonlyMap<string, string>>;
  /** Undefined when it is gone; then it is not open any more either. */
  read(batchId: string): Promise<BatchRecord | undefined>;
  /** The next items of the batch, which then are open. */
  take(batchId: string, most: number, window: number): Promise<readonly FedItem[] | TakeRefusal>;
  /** Open items of which no job is there, by the names that their jobs have. */
  findLost(batchId: string, callIdOf: (item: number) => string): Promise<readonly FedItem[]>;
  openItems(batchId: string): Promise<readonly number[]>;
  describe(batchId: string, items: readonly number[]): Promise<readonly FedItem[]>;
  /** Settles every item that was never taken. True when the batch has ended by it. */
  close(batch: BatchRecord, end: "canceled" | "expired"): Promise<boolean>;
  /** Something changed that cannot wait; returns what stops it. */
  onNews(listener: () => void): () => void;
}

const refusals: Readonly<Record<number, TakeRefusal>> = {
  [-1]: "lease_lost",
  [-2]: "closed",
  [-3]: "full",
  [-4]: "taken",
};
const rememberedChunks = 64;

export function createBatchFeed(options: BatchFeedOptions): BatchFeed {
  const { holder } = options;
  const { client } = options.redis;
  const keys = createBatchKeys(options.prefix);
  const jobKeys = createStoreKeys(options.prefix);
  const takeItems = loadScript(client, new URL("take-items.lua", import.meta.url));
  const closeBatch = loadScript(client, new URL("close-batch.lua", import.meta.url));
  const readChunk = createChunkReader(
    client,
    createBatchCodec(options.encryptionKey ? createSealer(options.encryptionKey) : undefined),
  );

  async function toItems(batchId: string, items: readonly number[]): Promise<readonly FedItem[]> {
    const fed: FedItem[] = [];
    for (const index of items) {
      const head = (await readChunk(keys.index(batchId), Math.floor(index / chunkItems)))[index % chunkItems];
      if (head) fed.push({ index, head, bodyKey: keys.itemBody(batchId, index) });
    }
    return fed;
  }
  async function readOpen(batchId: string): Promise<number[]> {
    const items = await client.smembers(keys.open(batchId));
    return items.map(Number).toSorted((a, b) => a - b);
  }
  return {
    lease: createLease(options.redis, keys.lease, holder),
    async openBatches() {
      return new Map(Object.entries(await client.hgetall(keys.openBatches)));
    },
    async read(batchId) {
      const batch = readBatchRecord(batchId, await client.hgetall(keys.meta(batchId)));
      if (!batch) await client.hdel(keys.openBatches, batchId);
      return batch;
    },
    async take(batchId, most, window) {
      const reply = await takeItems(
        [keys.lease, keys.meta(batchId), keys.open(batchId), keys.results(batchId)],
        [holder, most, window],
      );
      if (Array.isArray(reply)) return toItems(batchId, reply as number[]);
      return refusals[Number(reply)] ?? "closed";
    },
    async findLost(batchId, callIdOf) {
      const open = await readOpen(batchId);
      const there = await Promise.all(open.map((item) => client.exists(jobKeys.job("background", callIdOf(item)))));
      const jobless = open.filter((_, at) => there[at] === 0);
      // A job goes when its item is settled: one that is still open now has lost its job.
      const stillOpen = await Promise.all(jobless.map((item) => client.sismember(keys.open(batchId), String(item))));
      return toItems(
        batchId,
        jobless.filter((_, at) => stillOpen[at] === 1),
      );
    },
    openItems: readOpen,
    describe: toItems,
    async close({ id, keyId }, end) {
      const closed = await closeBatch(
        [
          keys.lease,
          keys.meta(id),
          keys.open(id),
          keys.openItems(keyId),
          keys.openBatches,
          keys.bodies(id),
          keys.sent(id),
        ],
        [holder, end, id, Date.now()],
      );
      return closed === 1;
    },
    onNews(listener) {
      const subscription = subscribeChannel(options.subscriber, keys.newsChannel, {
        message: listener,
        confirmed: listener,
        interrupted: () => undefined,
      });
      return () => void subscription.close();
    },
  };
}

type Heads = readonly (ItemHead | undefined)[];

/** Remembers the latest chunks: an index is read in many small steps. */
function createChunkReader(client: Redis, codec: BatchCodec): (index: string, chunk: number) => Promise<Heads> {
  const chunks = new Map<string, Heads>();
  return async (index, chunk) => {
    const name = index + chunk;
    const known = chunks.get(name);
    if (known) return known;
    const packed = await client.hgetBuffer(index, String(chunk));
    if (!packed) return [];
    const heads = decodeEntries(codec.unpack(packed, name)).map(({ head }) => head);
    const [oldest] = chunks.keys();
    if (chunks.size >= rememberedChunks && oldest !== undefined) chunks.delete(oldest);
    chunks.set(name, heads);
    return heads;
  };
}
