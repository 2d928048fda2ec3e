import { Worker } from "bullmq";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Lane } from "./job.ts";
import { queuePrefix, type QueueConnection } from "./queue-connection.ts";

/** A job that is this process' as long as its lock, which the token names, is renewed. */
export interface TakenJob {
  readonly id: string;
  readonly token: string;
  /** The payload as it lies in Redis. */
  readonly data: string;
  /** How often the job was taken, this time included. */
  readonly started: number;
  /** How often it was found without a lock: its dispatcher was lost. */
  readonly stalled: number;
}

/** `dueAt` as in `Take`; `isTaken`: the sign is ours alone, so a take must follow, or it is passed on. */
interface Sign {
  readonly isTaken: boolean;
  readonly dueAt: number;
}

/** A job, or when there will be one: the time the next parked one is due (milliseconds since the epoch), 0 if none. */
type Take = { readonly job: TakenJob } | { readonly job: undefined; readonly dueAt: number };

/** `waiting`: jobs, parked ones apart. `dueAt`: as in `Take`, and 0 while jobs wait. */
interface LaneView {
  readonly waiting: number;
  readonly dueAt: number;
}

/** One lane as BullMQ keeps it: its scripts, typed, one method each. Commands wait for Redis while it is away. */
export interface LaneWorker {
  take(token: string): Promise<Take>;
  /** What lies in the lane. When no job waits, a sign that says otherwise is taken away. */
  look(): Promise<LaneView>;
  /** Waits until there may be a job, some seconds at most, or not beyond the time that a parked one is due. */
  sign(dueAt: number): Promise<Sign>;
  /** Leaves a sign that was taken to whoever else waits for one. */
  passOn(): Promise<void>;
  /** Removes the job as done and, if wanted, takes the next one in the same script. Rejects when the lock is lost. */
  finish(job: TakenJob, takeNext: boolean): Promise<TakenJob | undefined>;
  /** Puts the job aside with new data. Rejects when the lock is lost. */
  delay(job: TakenJob, data: string, until: number): Promise<void>;
  /** Renews locks; returns the ids of jobs that have lost theirs. */
  extend(jobs: readonly TakenJob[]): Promise<string[]>;
  /** Ends `sign` for good. */
  hush(): void;
  close(): Promise<void>;
}

export interface LaneWorkerOptions {
  readonly lane: Lane;
  /** How long a job stays its taker's without `extend`. */
  readonly lockMs: number;
  readonly connection: QueueConnection;
  readonly prefix: string;
  readonly logger: Logger;
}

/** How often to look for jobs without a lock, in the time that one lasts. */
const stalledChecks = 3;
/** A sign that a lost dispatcher had taken is missed for this long by the others. */
const longestSignS = 2;
/**
 * BullMQ leaves a sign behind with each job that is taken, for there may be more. Where there is none it would only call
 * somebody up for nothing, which costs as much as the job did; what it would have told, when the next parked job is due,
 * is told here. BullMQ's score of a parked job is its time in ms times 4096, and a count.
 */
const lookInto = `local waiting = redis.call('LLEN', KEYS[1])
if waiting > 0 then return {waiting, 0} end
redis.call('ZREM', KEYS[2], '0')
local next = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if #next == 0 then return {0, 0} end
return {0, math.max(1, math.floor(tonumber(next[2]) / 4096))}`;
const nothing: Sign = { isTaken: false, dueAt: 0 };

/**
 * BullMQ's documented way of fetching by hand, and the only importer of its Worker. Its own loop takes one job per
 * round trip, asks once more after every job, and trips over a payload that is not JSON; a fifth more CPU per job.
 */
export function createLaneWorker({ lane, lockMs, connection, prefix, logger }: LaneWorkerOptions): LaneWorker {
  const worker = new Worker(lane, undefined, {
    connection: connection.client,
    prefix: queuePrefix(prefix),
    autorun: false,
    lockDuration: lockMs,
    // Redis takes whole milliseconds only.
    stalledInterval: Math.ceil(lockMs / stalledChecks),
    // How often is too often we decide ourselves: what BullMQ fails it only writes down.
    maxStalledCount: 1_000_000,
  });
  const backend = worker.getBackend();
  let isHushed = false;
  worker.on("error", (error) => logger.debug({ err: error, lane }, "queue error"));
  worker.on("stalled", (jobId) => logger.warn({ lane, callId: jobId }, "job of a lost dispatcher recovered"));
  void worker.startStalledCheckTimer();

  async function sign(dueAt: number): Promise<Sign> {
    const leftS = dueAt === 0 ? longestSignS : (dueAt - Date.now()) / 1000;
    if (leftS <= 0) return nothing;
    const marker = await backend.waitForJob(Math.min(longestSignS, Math.max(backend.minimumBlockTimeout, leftS)));
    if (!marker) return nothing;
    if (marker.score <= Date.now()) return { isTaken: true, dueAt: 0 };
    return { isTaken: false, dueAt: dueAt === 0 ? marker.score : Math.min(dueAt, marker.score) };
  }
  return {
    async take(token) {
      const [json, id, , dueAt] = (await backend.moveToActive(token)) as NextJob;
      return json ? { job: takenJob(json, id, token) } : { job: undefined, dueAt: dueAt ?? 0 };
    },
    async look() {
      const { wait = "", marker = "", delayed = "" } = backend.keys;
      const [waiting, dueAt] = (await connection.client.eval(lookInto, 3, wait, marker, delayed)) as [number, number];
      return { waiting, dueAt };
    },
    async sign(dueAt) {
      try {
        return await sign(dueAt);
      } catch (error) {
        if (isHushed) return nothing;
        logger.debug({ err: error, lane }, "blocking connection lost");
        await backend.reconnectBlocking().catch(() => undefined);
        return nothing;
      }
    },
    async passOn() {
      const { marker = "" } = backend.keys;
      await connection.client.zadd(marker, 0, "0");
    },
    async finish(job, takeNext) {
      const done = finishedJob(job);
      const { result } = await backend.moveToCompleted(done, undefined, true, job.token, takeNext);
      const [json, id] = (result ?? []) as NextJob;
      return json ? takenJob(json, id, job.token) : undefined;
    },
    async delay(job, data, until) {
      const now = Date.now();
      const options = { skipAttempt: true, fieldsToUpdate: { data } };
      await backend.moveToDelayed(job.id, now, Math.max(0, Math.ceil(until - now)), job.token, options);
    },
    extend: (jobs) =>
      backend.extendLocks(
        jobs.map(({ id }) => id),
        jobs.map(({ token }) => token),
        lockMs,
      ),
    hush() {
      isHushed = true;
      backend.disconnectBlocking(false).catch(() => undefined);
    },
    close: () => worker.close(true),
  };
}

/** What BullMQ's scripts answer: the job and its id, the milliseconds of a rate limit, when the next parked one is due. */
type NextJob = [json: JobFields | null | undefined, id?: string, limitMs?: number, dueAt?: number];

interface JobFields {
  readonly data: string;
  readonly attemptsStarted?: number;
  readonly stalledCounter?: number;
}

function takenJob(fields: JobFields, id: string | undefined, token: string): TakenJob {
  const { data, attemptsStarted, stalledCounter } = fields;
  return { id: id ?? "", token, data, started: attemptsStarted ?? 1, stalled: stalledCounter ?? 0 };
}

type FinishedJob = Parameters<ReturnType<Worker["getBackend"]>["moveToCompleted"]>[0];

/** Finishing a job reads nothing of it but its id and options. */
function finishedJob({ id }: TakenJob): FinishedJob {
  return { id, opts: {} } as FinishedJob;
}
