import type { Operation } from "#shared/messages/call.ts";
import type { Hold } from "./budget-store.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
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
  /** Remembers the job until its outcome is forgotten too. False when its key has too many jobs open. */
  create(job: StoredJob, options: { readonly keepMs: number; readonly mostOpen: number }): Promise<boolean>;
  /** The job was not made after all: it is not among the key's open ones. Never fails. */
  release(job: StoredJob): void;
  /** Undefined for another key's. */
  get(keyId: string, callId: string): Promise<StoredJob | undefined>;
  /** The key's jobs, newest first, those after `afterId` if it is given. */
  list(keyId: string, options: { readonly limit: number; readonly afterId?: string | undefined }): Promise<StoredJob[]>;
}

/** Of each key. */
const mostListed = 10_000;
/** Of each key; each looks at all its open jobs. */
const sweepEveryMs = 1000;
/** Keys whose latest sweep is remembered. */
const mostSwept = 1000;
/** Above this share of Redis' memory no more jobs are taken. */
const mostMemory = 0.7;

export function createJobStore(options: { readonly redis: RedisConnection; readonly prefix: string }): JobStore {
  const { redis } = options;
  const { client } = redis;
  const keys = createStoreKeys(options.prefix);
  const createJob = loadScript(client, new URL("create-job.lua", import.meta.url));
  const sweptAt = new Map<string, number>();

  /** Jobs leave the open ones when it matters: when there are too many. False if none has ended. */
  async function forgetEnded(keyId: string): Promise<boolean> {
    const now = Date.now();
    if (now - (sweptAt.get(keyId) ?? 0) < sweepEveryMs) return false;
    if (sweptAt.size >= mostSwept) sweptAt.clear();
    sweptAt.set(keyId, now);
    const open = await client.zrange(keys.openJobs(keyId), "0", "-1");
    const haveEnded = await Promise.all(open.map((callId) => client.exists(keys.outcome(callId))));
    const ended = open.filter((_, at) => haveEnded[at] === 1);
    return ended.length > 0 && (await client.zrem(keys.openJobs(keyId), ...ended)) > 0;
  }
  return {
    hasRoom: watchRoom(redis, mostMemory),
    async create(job, { keepMs, mostOpen }) {
      const { callId, keyId, createdAt, expiresAt } = job;
      const ttlMs = Math.ceil(expiresAt - createdAt + keepMs);
      const names = [keys.jobRecord(callId), keys.jobsOf(keyId), keys.openJobs(keyId)];
      const oldest = createdAt - ttlMs;
      const values = [JSON.stringify(job), ttlMs, createdAt, callId, oldest, mostListed, expiresAt, mostOpen];
      if ((await createJob(names, values)) === 1) return true;
      return (await forgetEnded(keyId)) && (await createJob(names, values)) === 1;
    },
    release: ({ keyId, callId }) => void client.zrem(keys.openJobs(keyId), callId).catch(() => undefined),
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
