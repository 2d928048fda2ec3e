import { randomUUID } from "node:crypto";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript, type ScriptArgument } from "#shared/runtime/load-script.ts";
import { createStoreKeys, type StoreKeys } from "./store-keys.ts";
import {
  createUsageTally,
  noCounters,
  usageCounters,
  type UsageCounters,
  type UsageRow,
  type UsedCall,
} from "./usage-tally.ts";

export interface StoredUsage extends UsageRow {
  readonly day: string;
  readonly keyId: string;
}

export interface UsageStoreOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly keepMs: number;
  readonly logger: Logger;
  /** Rows that wait at a time while Redis is away, 10,000. */
  readonly mostWaiting?: number;
}

/** What keys used, by day (UTC), model and provider. */
export interface UsageStore {
  /**
   * Counts a call, once. It is written with others, within a second or, when many keys make few calls each, ten; while Redis is away it waits here, and is lost only
   * if this process ends before Redis is back, or with more than 10,000 rows waiting.
   */
  add(call: UsedCall): void;
  /** What these keys used on a day; "all": every key. Rejects while Redis is away. */
  read(day: string, keyIds: readonly string[] | "all"): Promise<StoredUsage[]>;
  /** Calls that were not counted. */
  readonly dropped: number;
  /** Writes what waits, if Redis is there. */
  close(): Promise<void>;
}

const flushMs = 1000;
/** A row costs Redis some 20 µs, whatever the number of its calls: few rows are written soon, many when it is worth it. */
const fewRows = 64;
const callsPerRow = 8;
const longestWaitMs = 10_000;
const mostPerScript = 64;
/** Longer than a batch whose fate is not known is sent again. */
const markTtlMs = 86_400_000;
const readAtOnce = 200;

/** Sums on their way into Redis; sent again, under their number, until it is known that they arrived. */
interface Batch {
  readonly keys: readonly string[];
  readonly values: readonly ScriptArgument[];
}

export function createUsageStore(options: UsageStoreOptions): UsageStore {
  const { redis, logger, mostWaiting = 10_000 } = options;
  const keys = createStoreKeys(options.prefix);
  const addUsage = loadScript(redis.client, new URL("add-usage.lua", import.meta.url));
  const tally = createUsageTally(mostWaiting);
  const writer = randomUUID();
  let batchNumber = 0;
  let batch: Batch | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let dropped = 0;
  let waitingSince = 0;

  /** Whether more calls should come together first. */
  function isEarly(): boolean {
    const isThin = tally.rows > fewRows && tally.calls < callsPerRow * tally.rows;
    return isThin && Date.now() - waitingSince < longestWaitMs;
  }
  function nextBatch(): Batch | undefined {
    const taken = tally.take(mostPerScript);
    if (taken === undefined) return undefined;
    batchNumber += 1;
    const names = [keys.usageWriter(writer), keys.usageKeys(taken.day)];
    const values: ScriptArgument[] = [batchNumber, Math.ceil(options.keepMs), markTtlMs];
    for (const [keyId, rows] of taken.keys) {
      names.push(keys.usage(taken.day, keyId));
      const fields = rows.flatMap(toFields);
      values.push(keyId, fields.length / 2, ...fields);
    }
    return { keys: names, values };
  }
  async function send(): Promise<void> {
    for (;;) {
      batch ??= nextBatch();
      if (batch === undefined) return;
      await addUsage(batch.keys, batch.values);
      batch = undefined;
    }
  }
  /** One at a time: the numbers of batches arrive in their order. */
  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (sending !== undefined || !redis.isReady) return schedule();
    sending = send();
    await sending.catch((reason: unknown) => {
      logger.debug({ err: reason }, "usage not written yet");
      schedule();
    });
    sending = undefined;
  }
  function schedule(): void {
    timer ??= setTimeout(tick, flushMs).unref();
  }
  function tick(): void {
    timer = undefined;
    if (isEarly()) schedule();
    else void flush();
  }
  return {
    add(call) {
      if (tally.rows === 0) waitingSince = Date.now();
      if (!tally.add(call) && ++dropped === 1) logger.warn({}, "usage dropped, too much waits for redis");
      schedule();
    },
    read: async (day, keyIds) => {
      const asked = keyIds === "all" ? await redis.client.smembers(keys.usageKeys(day)) : keyIds;
      const found: StoredUsage[] = [];
      for (let at = 0; at < asked.length; at += readAtOnce)
        found.push(...(await readSome(redis, keys, { day, keyIds: asked.slice(at, at + readAtOnce) })));
      return found;
    },
    get dropped() {
      return dropped;
    },
    async close() {
      await sending?.catch(() => undefined);
      await flush();
      clearTimeout(timer);
    },
  };
}

function toFields({ model, provider, counters }: UsageRow): ScriptArgument[] {
  const fields: ScriptArgument[] = [];
  for (const name of usageCounters)
    if (counters[name] > 0) fields.push(`${name}\n${model}\n${provider}`, wholeNumber(counters[name]));
  return fields;
}

/** Redis adds whole numbers only, and a provider may say anything. */
function wholeNumber(value: number): number {
  return Math.min(Math.round(value), Number.MAX_SAFE_INTEGER);
}

interface DayOfKeys {
  readonly day: string;
  readonly keyIds: readonly string[];
}

async function readSome(redis: RedisConnection, keys: StoreKeys, { day, keyIds }: DayOfKeys): Promise<StoredUsage[]> {
  const hashes = await Promise.all(keyIds.map((keyId) => redis.client.hgetall(keys.usage(day, keyId))));
  return hashes.flatMap((fields, index) =>
    fromFields(fields).map((row) => ({ ...row, day, keyId: keyIds[index] ?? "" })),
  );
}

function fromFields(fields: Readonly<Record<string, string>>): UsageRow[] {
  const rows = new Map<string, UsageRow>();
  for (const [field, number] of Object.entries(fields)) {
    const [name = "", model = "", provider = ""] = field.split("\n");
    if (!isCounter(name)) continue;
    const key = `${model}\n${provider}`;
    const row = rows.get(key) ?? { model, provider, counters: noCounters() };
    row.counters[name] = Number(number);
    rows.set(key, row);
  }
  return [...rows.values()];
}

function isCounter(name: string): name is keyof UsageCounters {
  return (usageCounters as readonly string[]).includes(name);
}
