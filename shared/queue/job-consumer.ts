import { setMaxListeners } from "node:events";
import { PassingSet } from "#shared/runtime/passing.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { ChannelSource } from "./handover.ts";
import { decodeJob, encodeJob, salvageJob, type CallJob, type CallTrail, type Lane } from "./job.ts";
import { JobSlots } from "./job-slots.ts";
import { createLaneWorker, type LaneWorker } from "./lane-worker.ts";
import type { CallMarks, KnownCall, TakenJob } from "./taken-job.ts";
import type { QueueConnection } from "./queue-connection.ts";

/** Put the job aside and deliver it again at this time (milliseconds since the epoch). */
export interface ParkUntil {
  readonly parkUntil: number;
  /** Goes into the job for its next delivery. */
  readonly trail?: CallTrail;
}

export interface JobContext {
  /** 1 for the first time the job is taken from its lane, higher for each later one, also after parking. */
  readonly delivery: number;
  /** Somebody may have opened the call before, and may still hold it. */
  readonly redelivered: boolean;
  readonly known: KnownCall;
  /** Aborts when the job is given back at the end of `close`: settle nothing any more. The call itself may go on. */
  readonly signal: AbortSignal;
  /**
   * To be called right after the outcome was handed to its store, in the same turn: if nobody waits for the slot the job is
   * removed behind the outcome, if that is recorded then. A job that was not is removed when it is handled, as any other.
   */
  removeWhenAnswered(): void;
}

export interface JobConsumerOptions {
  readonly lane: Lane;
  readonly concurrency: number;
  /** How long jobs stay this process' without a renewal, of which there are three in that time. */
  readonly lockMs: number;
  /** With the purpose `blocking`; one serves the consumers of all lanes. */
  readonly connection: QueueConnection;
  /** With the purpose `command`, on which `handle` records outcomes; without it no job is removed before it is handled. */
  readonly settling?: QueueConnection;
  /** With it a job is handed over in the script that adds it, if nothing waits before it and there is a free slot. */
  readonly handing?: ChannelSource;
  readonly prefix: string;
  readonly marks: CallMarks;
  readonly logger: Logger;
  /** Runs a job; when it resolves without a time to park until, the job is gone. At least once for every job. */
  handle(job: CallJob, context: JobContext): Promise<ParkUntil | void>;
  /**
   * The job is removed and was not handled: it cannot be read (then most of it is stand-in), it brought down its
   * dispatcher again and again, or `handle` rejected. Somebody may be waiting for it.
   */
  onFailed(job: CallJob, reason: string): void;
}

export interface JobConsumer {
  /** Jobs in hand. */
  readonly running: number;
  /** For a lane whose concurrency follows the load. */
  setConcurrency(concurrency: number): void;
  /** Takes no more jobs, waits for those in hand, and gives back what still runs when the signal aborts. */
  close(signal: AbortSignal): Promise<void>;
}

interface Held {
  readonly job: TakenJob;
  readonly call: CallJob;
  /** Whether it has removed the job. */
  removal?: Promise<boolean> | undefined;
}

/** Of the time that a lock lasts. */
const renewals = 3;
/** A job that outlives so many of its dispatchers is what they die of. */
const mostRecoveries = 20;
/** For Redis to take what is given back; if it is away, the locks run out and the jobs are found. */
const patienceMs = 2000;

export function createJobConsumer(options: JobConsumerOptions): JobConsumer {
  const { lane, logger, onFailed } = options;
  const worker = createLaneWorker(options);
  const held = new PassingSet<Held>();
  const givenBack = new AbortController();
  setMaxListeners(0, givenBack.signal);
  let closing: Promise<void> | undefined;

  function removeWhenAnswered(mine: Held): void {
    if (slots.hasRoom) mine.removal ??= worker.removeAnswered?.(mine.job);
  }
  async function handle(mine: Held): Promise<boolean> {
    const { job, call } = mine;
    try {
      const context = contextOf(mine, givenBack.signal, () => removeWhenAnswered(mine));
      const parking = await options.handle(call, context);
      const isRemoved = await mine.removal;
      if (givenBack.signal.aborted || isRemoved) return false;
      if (!parking) return true;
      await park(worker, { job, call }, parking);
      return false;
    } catch (error) {
      if (givenBack.signal.aborted) return false;
      logger.error({ err: error, callId: job.id, lane }, "job failed");
      onFailed(call, "the dispatcher failed");
      return true;
    }
  }
  async function run(job: TakenJob): Promise<boolean> {
    const call = readJob(job, options);
    if (!call) return true;
    const mine: Held = { job, call };
    const letGo = held.add(mine);
    const isDone = await handle(mine);
    letGo();
    return isDone;
  }
  const slots = new JobSlots({ worker, concurrency: options.concurrency, logger, run });
  const stopRenewing = keepLocks(held, (ids) => logger.warn({ lane, jobs: ids.length }, "jobs lost their lock"), {
    worker,
    everyMs: options.lockMs / renewals,
  });

  async function close(signal: AbortSignal): Promise<void> {
    slots.stop();
    // A take that is still under way must not find what is given back below.
    if (options.connection.isReady) await withPatience(slots.ended);
    await slots.idle(signal);
    const left = [...held];
    givenBack.abort();
    if (left.length > 0) {
      logger.warn({ lane, jobs: left.length }, "jobs given back");
      await withPatience(Promise.allSettled(left.map((one) => giveBack(worker, one))));
    }
    stopRenewing();
    await withPatience(worker.close());
  }
  return {
    get running() {
      return slots.running;
    },
    setConcurrency(concurrency) {
      slots.setConcurrency(concurrency);
    },
    close: (signal) => (closing ??= close(signal)),
  };
}

/** Undefined when the job is not to be run; then it has been reported. */
function readJob(job: TakenJob, { lane, logger, onFailed }: JobConsumerOptions): CallJob | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(job.data);
    const call = decodeJob(payload);
    if (call.head.id !== job.id) throw new Error("job is malformed at head.id");
    if (job.stalled > mostRecoveries) throw new Error("job lost its dispatcher too often");
    return call;
  } catch (error) {
    const reason = error instanceof SyntaxError ? "job is not JSON" : (error as Error).message;
    logger.error({ callId: job.id, lane, reason }, "job refused");
    onFailed(salvageJob(job.id, payload), reason);
    return undefined;
  }
}

function contextOf({ job, call }: Held, signal: AbortSignal, removeWhenAnswered: () => void): JobContext {
  const redelivered = job.stalled > 0 || call.reopened === true;
  return { delivery: job.started, redelivered, known: job.call, signal, removeWhenAnswered };
}

/** Never rejects: a job that cannot be put aside has another dispatcher by now. */
async function park(worker: LaneWorker, { job, call }: Held, parking: ParkUntil): Promise<void> {
  const { parkUntil, trail } = parking;
  const data = encodeJob({ ...call, parked: (call.parked ?? 0) + 1, ...(trail ? { trail } : {}) });
  await worker.delay(job, { data, parked: job.started }, parkUntil).catch(() => undefined);
}

/** The next dispatcher must ask the workers first: one of them may still hold the call. */
function giveBack(worker: LaneWorker, { job, call }: Held): Promise<void> {
  return worker.delay(job, { data: encodeJob({ ...call, reopened: true }) }, Date.now());
}

/** Renews the locks of all jobs in hand; returns what ends it. */
function keepLocks(
  held: PassingSet<Held>,
  onLost: (ids: string[]) => void,
  { worker, everyMs }: { readonly worker: LaneWorker; readonly everyMs: number },
): () => void {
  let isRenewing = false;
  async function renew(): Promise<void> {
    if (isRenewing || held.size === 0) return;
    isRenewing = true;
    const jobs = Array.from(held, ({ job }) => job);
    const lost = await worker.extend(jobs).catch(() => []);
    isRenewing = false;
    // A job that ended meanwhile, or is about to, has lost nothing.
    const mine = new Set([...held].filter(({ removal }) => !removal).map(({ job }) => job.id));
    const missed = lost.filter((id) => mine.has(id));
    if (missed.length > 0) onLost(missed);
  }
  const timer = setInterval(() => void renew(), everyMs);
  return () => clearInterval(timer);
}

function withPatience(promise: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    promise.then(done, done);
  });
}
