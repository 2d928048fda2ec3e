import { createBatchKeys } from "./batch-keys.ts";
import type { RedisConnection } from "./connect-redis.ts";

/** Items of one batch that go to a provider together, as a batch of its own. Times are milliseconds since the epoch. */
export interface NativeRun {
  /** Names its job too. */
  readonly id: string;
  readonly provider: string;
  /** In their order. */
  readonly items: readonly number[];
  /** From then on the provider may have it, whatever is known of its answer. */
  readonly startedAt?: number;
  /** The provider's id, once it is known. */
  readonly batchId?: string;
  readonly isCancelAsked?: true;
  /** The day or month of which its items hold money, from before they were sent until they have ended. */
  readonly period?: string;
  /** Times the provider has turned it away. */
  readonly refusals?: number;
}

/** What providers run of our batches. Everything rejects while Redis is away. */
export interface NativeRuns {
  put(batchId: string, run: NativeRun): Promise<void>;
  get(batchId: string, runId: string): Promise<NativeRun | undefined>;
  all(batchId: string): Promise<readonly NativeRun[]>;
  /** Items of the run that have not ended are nobody's then. */
  remove(batchId: string, runId: string): Promise<void>;
}

/** Longer than any batch runs. */
const ttlMs = 30 * 86_400_000;

export function createNativeRuns(options: { readonly redis: RedisConnection; readonly prefix: string }): NativeRuns {
  const { client } = options.redis;
  const keys = createBatchKeys(options.prefix);
  return {
    async put(batchId, run) {
      const key = keys.runs(batchId);
      await client.multi().hset(key, run.id, JSON.stringify(run)).pexpire(key, ttlMs).exec();
    },
    async get(batchId, runId) {
      const text = await client.hget(keys.runs(batchId), runId);
      // Our own JSON, written by `put`.
      return text === null ? undefined : (JSON.parse(text) as NativeRun);
    },
    async all(batchId) {
      const texts = await client.hvals(keys.runs(batchId));
      return texts.map((text) => JSON.parse(text) as NativeRun);
    },
    async remove(batchId, runId) {
      await client.hdel(keys.runs(batchId), runId);
    },
  };
}
