import { Worker } from "bullmq";
import { loadScript, type RedisScript } from "#shared/runtime/load-script.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { createHandover, offersName, offerTtlMs, type ChannelSource, type Handover } from "./handover.ts";
import type { Lane } from "./job.ts";
import { queuePrefix, type QueueConnection } from "./queue-connection.ts";
import type { CallMarks, JobTaker, TakenJob } from "./taken-job.ts";

interface Exchange {
  readonly taken: readonly TakenJob[];
  /** Ids of the jobs that were to be removed and were not: they had lost their lock, and somebody else has them now. */
  readonly lost: readonly string[];
  /** Jobs left in the lane, parked ones apart. */
  readonly waiting: number;
  /** The time the next parked job is due (milliseconds since the epoch), 0 if none or while jobs wait. */
  readonly dueAt: number;
}

/** `isTaken`: the sign is ours alone, so a take must follow, at `dueAt` if that is not 0, or it is passed on. */
interface Sign {
  readonly isTaken: boolean;
  readonly dueAt: number;
}

interface DelayedFields {
  readonly data: string;
  /** How often it was taken, if no worker has its call: what was taken since then may be with one. */
  readonly parked?: number;
}

/** One lane as BullMQ keeps it. Commands wait for Redis while it is away. */
export interface LaneWorker {
  /** Removes jobs as done and takes up to `want` others, in one script. */
  exchange(done: readonly TakenJob[], want: number): Promise<Exchange>;
  /**
   * Removes the job if its call is answered, on the connection `settling`: asked for in the turn in which the outcome is
   * handed to a store on it, it comes right behind that. True when the job is removed for certain; never rejects.
   */
  readonly removeAnswered: ((job: TakenJob) => Promise<boolean>) | undefined;
  /** Waits until there may be a job or one is parked, some seconds at most. One at a time. */
  sign(): Promise<Sign>;
  /** Leaves a sign that was taken to whoever else waits for one. */
  passOn(sign: Sign): Promise<void>;
  /** Puts the job aside with new fields. Rejects when the lock is lost. */
  delay(job: TakenJob, fields: DelayedFields, until: number): Promise<void>;
  /** Renews locks; returns the ids of jobs that have lost theirs. */
  extend(jobs: readonly TakenJob[]): Promise<string[]>;
  /** From now on jobs may be handed to the taker without having been asked for. */
  serve(taker: JobTaker): void;
  /** Takes back what was offered of slots that have a job by now. */
  retract(): void;
  /** Resolves when no job will be handed over any more. */
  withdraw(): Promise<void>;
  /** Ends `sign` for good. */
  hush(): void;
  close(): Promise<void>;
}

export interface LaneWorkerOptions {
  readonly lane: Lane;
  /** How long a job stays its taker's without `extend`. */
  readonly lockMs: number;
  readonly connection: QueueConnection;
  /** On which outcomes are recorded. */
  readonly settling?: QueueConnection;
  /** With it jobs are handed over as they are added. */
  readonly handing?: ChannelSource;
  readonly prefix: string;
  readonly marks: CallMarks;
  readonly logger: Logger;
}

/** How often to look for jobs without a lock, in the time that one lasts. */
const stalledChecks = 3;
/** A sign that a lost dispatcher had taken is missed for this long by the others. */
const longestSignS = 2;
/** A script holds up everybody else in Redis. */
const mostRemovals = 64;
const nothing: Sign = { isTaken: false, dueAt: 0 };

/**
 * The only importer of BullMQ's Worker, which keeps the locks, parks jobs, finds those of lost dispatchers and gives signs.
 * Taking and removing is a script of ours in its layout: BullMQ's take one job each, with events and fields nobody reads.
 * With it a whole answer costs Redis half as much and the dispatcher 60 % (a quarter of all CPU).
 */
export function createLaneWorker(options: LaneWorkerOptions): LaneWorker {
  const { lane, lockMs, connection, settling, logger } = options;
  const prefix = queuePrefix(options.prefix);
  const worker = openWorker(options, prefix);
  const backend = worker.getBackend();
  let isHushed = false;

  async function sign(): Promise<Sign> {
    if (isHushed) return nothing;
    const found = await backend.waitForJob(longestSignS);
    if (!found) return nothing;
    return { isTaken: true, dueAt: found.score <= Date.now() ? 0 : found.score };
  }
  const script = new URL("exchange-jobs.lua", import.meta.url);
  const exchangeJobs = loadScript(connection.client, script);
  const exchangeSettled = settling && loadScript(settling.client, script);
  const { wait = "", active = "", delayed = "", marker = "", stalled = "" } = backend.keys;
  const offersKey = backend.toKey(offersName);
  const names = [wait, active, delayed, marker, stalled, offersKey];
  const handover = openHandover(options, { offersKey, channelPrefix: backend.toKey("handed:") });
  const { answered, cancelled } = options.marks;
  const tokens = crypto.randomUUID();
  let takes = 0;
  function exchange(run: RedisScript, done: readonly TakenJob[], more: ExchangeTerms): Promise<Exchange> {
    const token = `${tokens}:${(takes += 1)}`;
    const at = Date.now();
    const offers = handover?.offers(Math.max(more.want, done.length));
    const args = [backend.toKey(""), answered, cancelled, at, more.want, token, lockMs, more.answeredOnly];
    args.push(offerTtlMs, offers?.lines.length ?? 0, ...(offers?.lines ?? []));
    const reply = run(names, [...args, ...done.flatMap((job) => [job.id, job.token])]);
    const exchanged = reply.then((members) => readExchange(members as ExchangeReply, { token, at }));
    if (offers)
      exchanged.then(
        ({ waiting, taken }) => offers.written(waiting === 0 ? offers.lines.length - taken.length : 0),
        // Perhaps: what was not is found out when it is to be renewed.
        () => offers.written(offers.lines.length),
      );
    return exchanged;
  }
  return {
    exchange: (done, want) => exchange(exchangeJobs, done, { want, answeredOnly: 0 }),
    removeAnswered:
      exchangeSettled &&
      batchRemovals(async (jobs) => (await exchange(exchangeSettled, jobs, { want: 0, answeredOnly: 1 })).lost),
    async sign() {
      try {
        return await sign();
      } catch (error) {
        if (isHushed) return nothing;
        logger.debug({ err: error, lane }, "blocking connection lost");
        await backend.reconnectBlocking().catch(() => undefined);
        return nothing;
      }
    },
    async passOn({ isTaken, dueAt }) {
      // Of parked jobs the earliest counts; BullMQ's names.
      if (isTaken && dueAt > 0) await connection.client.zadd(marker, "LT", dueAt, "1");
      else if (isTaken) await connection.client.zadd(marker, 0, "0");
    },
    async delay(job, fields, until) {
      const now = Date.now();
      const options = { skipAttempt: true, fieldsToUpdate: { ...fields } };
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
    serve: (taker) => handover?.serve(taker),
    retract: () => handover?.retract(),
    withdraw: async () => handover?.withdraw(),
    async close() {
      void handover?.withdraw();
      await worker.close(true);
    },
  };
}

function openWorker({ lane, lockMs, connection, logger }: LaneWorkerOptions, prefix: string): Worker {
  const worker = new Worker(lane, undefined, {
    connection: connection.client,
    prefix,
    autorun: false,
    lockDuration: lockMs,
    // Redis takes whole milliseconds only.
    stalledInterval: Math.ceil(lockMs / stalledChecks),
    // How often is too often we decide ourselves: what BullMQ fails it only writes down.
    maxStalledCount: 1_000_000,
  });
  worker.on("error", (error) => logger.debug({ err: error, lane }, "queue error"));
  worker.on("stalled", (jobId) => logger.warn({ lane, callId: jobId }, "job of a lost dispatcher recovered"));
  void worker.startStalledCheckTimer();
  return worker;
}

function openHandover(
  { handing, connection, lockMs, marks }: LaneWorkerOptions,
  names: { readonly offersKey: string; readonly channelPrefix: string },
): Handover | undefined {
  return handing && createHandover({ source: handing, connection, lockMs, marks, ...names });
}

interface ExchangeTerms {
  readonly want: number;
  readonly answeredOnly: 0 | 1;
}

type ExchangeReply = readonly [lost: readonly Buffer[], waiting: number, dueAt: number, ...jobs: (Buffer | number)[]];

/** Members that a job has in the script's reply. */
const jobMembers = 6;

function readExchange(reply: ExchangeReply, { token, at }: { readonly token: string; readonly at: number }): Exchange {
  const [lost, waiting, dueAt] = reply;
  const taken: TakenJob[] = [];
  for (let index = 3; index < reply.length; index += jobMembers) {
    const [id, data, started, stalled, answered, cancelled] = reply.slice(index, index + jobMembers);
    const call = { answered: answered === 1, cancelled: cancelled === 1, at };
    taken.push({ id: String(id), token, data: String(data), started: Number(started), stalled: Number(stalled), call });
  }
  return { taken, lost: lost.map(String), waiting, dueAt };
}

interface Removal {
  readonly job: TakenJob;
  resolve(isRemoved: Promise<boolean>): void;
}

/** `remove` resolves with the ids of the jobs that it left alone. */
function batchRemovals(
  remove: (jobs: readonly TakenJob[]) => Promise<readonly string[]>,
): (job: TakenJob) => Promise<boolean> {
  const removing = createTurnBatch<Removal>((batch) => {
    const jobs = batch.map(({ job }) => job);
    const left = remove(jobs).catch(() => jobs.map(({ id }) => id));
    for (const { job, resolve } of batch) resolve(left.then((ids) => !ids.includes(job.id)));
  }, mostRemovals);
  return (job) => new Promise((resolve) => removing.add({ job, resolve }));
}
