import type { Operation } from "#shared/messages/call.ts";
import type { Hold } from "./budget-store.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "./load-script.ts";
import { watchRoom } from "./memory-room.ts";
import { createStoreKeys } from "./store-keys.ts";

/** An asynchronous call, as it was accepted; what became of it the result store knows. Times are milliseconds since the epoch. */
export interface StoredJob {
  readonly callId: string;
  readonly keyId: string;
  readonly operation: Operation;
  readonly model: string;
  readonly lane: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** What it holds of its key's budget. */
  readonly hold?: Hold;
}

/** Asynchronous calls by id and by key. Everything rejects while Redis is away. */
export interface JobStore {
  /** Whether Redis has the memory for another one. */
  hasRoom(): Promise<boolean>;
  /** Remembers the job until its outcome is forgotten too. */
  create(job: StoredJob, keepMs: number): Promise<void>;
  /** Undefined for another key's. */
  get(keyId: string, callId: string): Promise<StoredJob | undefined>;
  /** The key's jobs, newest first, those after `afterId` if it is given. */
  list(keyId: string, options: { readonly limit: number; readonly afterId?: string | undefined }): Promise<StoredJob[]>;
}

/** Of each key. */
const mostListed = 10_000;
/** Above this share of Redis' memory no more jobs are taken. */
const mostMemory = 0.7;

export function createJobStore(options: { readonly redis: RedisConnection; readonly prefix: string }): JobStore {
  const { redis } = options;
  const { client } = redis;
  const keys = createStoreKeys(options.prefix);
  const createJob = loadScript(client, "create-job");
  return {
    hasRoom: watchRoom(redis, mostMemory),
    async create(job, keepMs) {
      const ttlMs = Math.ceil(job.expiresAt - job.createdAt + keepMs);
      const names = [keys.jobRecord(job.callId), keys.jobsOf(job.keyId)];
      const oldest = job.createdAt - ttlMs;
      await createJob(names, [JSON.stringify(job), ttlMs, job.createdAt, job.callId, oldest, mostListed]);
    },
    async get(keyId, callId) {
      const text = await client.get(keys.jobRecord(callId));
      // Our own JSON, written by `create`.
      const job = text === null ? undefined : (JSON.parse(text) as StoredJob);
      return job?.keyId === keyId ? job : undefined;
    },
    async list(keyId, { limit, afterId }) {
      const rank = afterId === undefined ? -1 : await client.zrevrank(keys.jobsOf(keyId), afterId);
      if (rank === null) return [];
      const ids = await client.zrevrange(keys.jobsOf(keyId), rank + 1, rank + limit);
      if (ids.length === 0) return [];
      const texts = await client.mget(ids.map((id) => keys.jobRecord(id)));
      return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as StoredJob);
    },
  };
}
