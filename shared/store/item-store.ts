import type { ItemResult } from "#shared/messages/batch-result.ts";
import type { SentNote } from "#shared/messages/call.ts";
import { createBatchCodec, encodeResult } from "./batch-codec.ts";
import { createBatchKeys } from "./batch-keys.ts";
import type { BatchState } from "./batch-record.ts";
import { budgetTtlMs, wholeNumber, type Charge } from "./budget-store.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { createSealer } from "./sealer.ts";
import { createStoreKeys } from "./store-keys.ts";

export interface ItemStoreOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly encryptionKey?: string;
}

export interface ItemRef {
  readonly batchId: string;
  readonly index: number;
  /** Who made the batch. */
  readonly keyId: string;
}

/** A provider was asked, and nobody heard the end of it. */
interface UnheardSending extends SentNote {
  /** How many deliveries of the item got so far. */
  readonly times: number;
}

export interface ItemState {
  /** It has a result, or its batch is gone. */
  readonly isOver: boolean;
  readonly batch?: BatchState;
  readonly sent?: UnheardSending;
}

interface EndFacts {
  /** A provider was asked a second time, because the first time it never answered. */
  readonly wasRerun?: boolean;
  /** What its key's budget pays: in the same step, whether or not anything is held for it still. */
  readonly charge?: Charge | undefined;
}

/** Items of batches while they run, and how they ended: once each. Everything rejects while Redis is away. */
export interface ItemStore {
  /** What to know before an item is run. */
  begin(item: ItemRef): Promise<ItemState>;
  /** Records how the item ended unless that is known, drops its body, and ends its batch if it was the last. */
  record(item: ItemRef, result: ItemResult, facts?: EndFacts): Promise<"recorded" | "already">;
  /** At the moment a provider is asked. */
  noteSent(item: ItemRef, sending: UnheardSending): Promise<void>;
  /** The delivery came to an end without an end of the item. */
  forgetSent(item: ItemRef): Promise<void>;
}

/** Longer than batches run; they take the notes with them when they end. */
const sentTtlMs = 30 * 86_400_000;

export function createItemStore(options: ItemStoreOptions): ItemStore {
  const { client } = options.redis;
  const keys = createBatchKeys(options.prefix);
  const storeKeys = createStoreKeys(options.prefix);
  const codec = createBatchCodec(options.encryptionKey ? createSealer(options.encryptionKey) : undefined);
  const beginItem = loadScript(client, new URL("begin-item.lua", import.meta.url));
  const recordItem = loadScript(client, new URL("record-item.lua", import.meta.url));

  return {
    async begin({ batchId, index }) {
      const reply = await beginItem([keys.meta(batchId), keys.results(batchId), keys.sent(batchId)], [index]);
      const [isOver, batch, sent] = reply as [number, Buffer?, Buffer?];
      if (isOver === 1) return { isOver: true };
      return {
        isOver: false,
        batch: String(batch) as BatchState,
        // Our own JSON, written by `noteSent`.
        ...(sent ? { sent: JSON.parse(sent.toString()) as UnheardSending } : undefined),
      };
    },
    async record({ batchId, index, keyId }, result, { wasRerun, charge } = {}) {
      const results = keys.results(batchId);
      const budget = charge
        ? [storeKeys.budget(keyId, charge.hold.period), storeKeys.budgetHolds(keyId, charge.hold.period)]
        : [];
      const payment = charge ? [charge.hold.callId, wholeNumber(charge.cost), budgetTtlMs] : [];
      const recorded = await recordItem(
        [
          keys.meta(batchId),
          results,
          keys.bodies(batchId),
          keys.open(batchId),
          keys.sent(batchId),
          keys.openItems(keyId),
          keys.openBatches,
          ...budget,
        ],
        [
          index,
          result.end,
          encodeResult(result, results + index, codec),
          batchId,
          Date.now(),
          wasRerun ? 1 : 0,
          ...payment,
        ],
      );
      return recorded === 0 ? "already" : "recorded";
    },
    async noteSent({ batchId, index }, sending) {
      const key = keys.sent(batchId);
      await Promise.all([client.hset(key, String(index), JSON.stringify(sending)), client.pexpire(key, sentTtlMs)]);
    },
    async forgetSent({ batchId, index }) {
      await client.hdel(keys.sent(batchId), String(index));
    },
  };
}
