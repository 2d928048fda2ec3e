import type { RedisConnection } from "./connect-redis.ts";
import { createStoreKeys } from "./store-keys.ts";
import { decodeFact } from "./target-fact-codec.ts";
import { createTargetTable, type TargetState } from "./target-table.ts";

/** One limit of an account, as a provider's headers tell it. Times are milliseconds since the epoch. */
export interface HeaderLimit {
  readonly limit?: number;
  readonly remaining?: number;
  readonly resetAt?: number;
}

/** By the limit's name: `requests`, `input-tokens` … */
export type HeaderLimits = Readonly<Record<string, HeaderLimit>>;

/** How much of a target one worker uses, and how much it thinks it may. */
export interface TargetUse {
  readonly provider: string;
  readonly model: string;
  /** Adaptive concurrency. */
  readonly limit: number;
  readonly interactive: number;
  readonly background: number;
}

export interface HeadersOfTarget {
  readonly provider: string;
  readonly model: string;
  readonly limits: HeaderLimits;
  readonly at: number;
}

export interface LimitsReporter {
  /** All that the worker uses, and the headers that are new. Rejects while Redis is away. */
  report(uses: readonly TargetUse[], headers: readonly HeadersOfTarget[]): Promise<void>;
}

/** What the whole fleet knows of its targets, at one moment. */
export interface FleetLimits {
  state(provider: string, model: string): TargetState;
  /** The sum over the workers that have used the target; undefined if none has. */
  use(
    provider: string,
    model: string,
  ): (Omit<TargetUse, "provider" | "model"> & { readonly workers: number }) | undefined;
  headers(provider: string, model: string): HeadersOfTarget | undefined;
}

interface StoreOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
}

interface StoredUse {
  readonly at: number;
  readonly uses: readonly TargetUse[];
}

/** A worker that has not reported for so long is gone; one that is idle reports three times in it. */
const reportFreshMs = 30_000;
const keepMs = 24 * 60 * 60_000;

/** For one worker, under a name of its own. */
export function createLimitsReporter({
  redis,
  prefix,
  workerId,
}: StoreOptions & { readonly workerId: string }): LimitsReporter {
  const { client } = redis;
  const keys = createStoreKeys(prefix);
  let isFirst = true;
  return {
    async report(uses, headers) {
      if (!redis.isReady) throw new Error("redis is away");
      // A worker that is started again and again must not leave ever more names behind.
      if (isFirst) await dropStale(redis, keys.targetUse);
      isFirst = false;
      const stored: StoredUse = { at: Date.now(), uses };
      const write = client
        .multi()
        .hset(keys.targetUse, workerId, JSON.stringify(stored))
        .pexpire(keys.targetUse, keepMs);
      for (const each of headers)
        write.hset(keys.headerLimits, fieldOf(each.provider, each.model), JSON.stringify(each));
      if (headers.length > 0) write.pexpire(keys.headerLimits, keepMs);
      await write.exec();
    },
  };
}

/** Rejects while Redis is away. */
export async function readFleetLimits({ redis, prefix }: StoreOptions): Promise<FleetLimits> {
  if (!redis.isReady) throw new Error("redis is away");
  const { client } = redis;
  const keys = createStoreKeys(prefix);
  const [facts, uses, headers] = await Promise.all([
    client.hgetall(keys.targets),
    client.hgetall(keys.targetUse),
    client.hgetall(keys.headerLimits),
  ]);
  const table = createTargetTable();
  for (const [field, value] of Object.entries(facts)) {
    const fact = decodeFact({ field, value });
    if (fact) table.apply(fact);
  }
  const sums = sumUses(Object.values(uses).map(readUse));
  return {
    state: table.state,
    use: (provider, model) => sums.get(fieldOf(provider, model)),
    headers(provider, model) {
      const stored = headers[fieldOf(provider, model)];
      return stored === undefined ? undefined : (JSON.parse(stored) as HeadersOfTarget);
    },
  };
}

type UseSum = NonNullable<ReturnType<FleetLimits["use"]>>;

function sumUses(reports: readonly StoredUse[]): Map<string, UseSum> {
  const since = Date.now() - reportFreshMs;
  const sums = new Map<string, UseSum>();
  for (const { provider, model, ...use } of reports.filter(({ at }) => at >= since).flatMap(({ uses }) => uses)) {
    const field = fieldOf(provider, model);
    const known = sums.get(field);
    sums.set(field, {
      limit: use.limit + (known?.limit ?? 0),
      interactive: use.interactive + (known?.interactive ?? 0),
      background: use.background + (known?.background ?? 0),
      workers: 1 + (known?.workers ?? 0),
    });
  }
  return sums;
}

async function dropStale({ client }: RedisConnection, key: string): Promise<void> {
  const since = Date.now() - reportFreshMs;
  const stale = Object.entries(await client.hgetall(key)).filter(([, value]) => readUse(value).at < since);
  if (stale.length > 0) await client.hdel(key, ...stale.map(([worker]) => worker));
}

/** Neither part holds a line feed. */
function fieldOf(provider: string, model: string): string {
  return `${provider}\n${model}`;
}

/** Our own JSON, written by the reporter. */
function readUse(text: string): StoredUse {
  return JSON.parse(text) as StoredUse;
}
