import { Queue } from "bullmq";
import { loadScript, type ScriptArgument } from "#shared/runtime/load-script.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";
import { decodeJob, encodeJob, lanes, type CallJob, type Lane } from "./job.ts";
import { offersName, offerTtlMs } from "./handover.ts";
import { queuePrefix, type QueueConnection } from "./queue-connection.ts";

interface LaneDepth {
  readonly waiting: number;
  /** Parked. */
  readonly delayed: number;
  readonly active: number;
}

/** Puts calls into the lanes. Fails at once while Redis is away, and never tries again by itself. */
export interface JobProducer {
  /** A job of the same call id that is still there is left as it is. Rejects with `AddError`. */
  add(lane: Lane, job: CallJob): Promise<void>;
  /**
   * `removed`: no worker has the call. `running`: a dispatcher has it in hand, or had when it was lost or left, and a worker
   * may have the call; it is left as it is, tell whoever has it, or takes it next, by a cancel mark.
   */
  remove(lane: Lane, callId: string): Promise<"removed" | "running" | "absent">;
  /** `waiting`: it lies in its lane, parked or not, and no worker has the call; `running` as for `remove`. */
  find(lane: Lane, callId: string): Promise<"waiting" | "running" | "absent">;
  /** The job as it lies in its lane; undefined when it does not, or cannot be understood. */
  read(lane: Lane, callId: string): Promise<CallJob | undefined>;
  depth(): Promise<Record<Lane, LaneDepth>>;
  close(): Promise<void>;
}

/** `not_sent`: the job is certainly not in its lane. `unknown`: it may be, now or later. */
export class AddError extends Error {
  readonly fate: "not_sent" | "unknown";

  constructor(fate: "not_sent" | "unknown", message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AddError";
    this.fate = fate;
  }
}

type LaneQueue = ReturnType<typeof createQueue>;

/** BullMQ's scripts write events, and nobody reads them: keep as few as its trimming allows. */
const keptEvents = 100;
/** A script holds up everybody else in Redis. */
const mostPerScript = 64;

export interface JobProducerOptions {
  readonly prefix: string;
}

/** `connection` has the purpose `command`. */
export function createJobProducer(connection: QueueConnection, options: JobProducerOptions): JobProducer {
  const { client } = connection;
  const prefix = queuePrefix(options.prefix);
  const open = (lane: Lane) => [lane, createQueue(lane, connection, { ...options, prefix })];
  const queues = Object.fromEntries(lanes.map(open)) as Record<Lane, LaneQueue>;
  function limitEvents(): void {
    for (const { backend } of Object.values(queues))
      backend.setQueueMeta({ "opts.maxLenEvents": keptEvents }).catch(() => undefined);
  }
  const removeJob = loadScript(client, new URL("remove-job.lua", import.meta.url));
  client.on("ready", limitEvents);
  if (connection.isReady) limitEvents();

  return {
    async add(lane, job) {
      if (!connection.isReady) throw new AddError("not_sent", "Redis is away");
      try {
        await new Promise<void>((resolve, reject) => queues[lane].adding.add({ job, resolve, reject }));
      } catch (error) {
        throw isCertain(error)
          ? new AddError("not_sent", "the job was not added", { cause: error })
          : new AddError("unknown", "the job may have been added", { cause: error });
      }
    },
    async remove(lane, callId) {
      const { wait = "", delayed = "" } = queues[lane].backend.keys;
      const removed = await removeJob([wait, delayed, `${prefix}:${lane}:${callId}`], [callId]);
      if (removed === 0) return "running";
      return removed === 1 ? "removed" : "absent";
    },
    async find(lane, callId) {
      const [timestamp, taken, parked] = await client.hmget(
        `${prefix}:${lane}:${callId}`,
        "timestamp",
        "ats",
        "parked",
      );
      if (timestamp == null) return "absent";
      return Number(taken) > Number(parked) ? "running" : "waiting";
    },
    async read(lane, callId) {
      const data = await client.hget(`${prefix}:${lane}:${callId}`, "data");
      try {
        return data === null ? undefined : decodeJob(JSON.parse(data));
      } catch {
        return undefined;
      }
    },
    async depth() {
      const counts = await Promise.all(
        lanes.map((lane) => queues[lane].backend.getCounts(["wait", "delayed", "active"])),
      );
      const depths = counts.map(([waiting = 0, delayed = 0, active = 0]) => ({ waiting, delayed, active }));
      return Object.fromEntries(lanes.map((lane, index) => [lane, depths[index]])) as Record<Lane, LaneDepth>;
    },
    async close() {
      client.off("ready", limitEvents);
      await Promise.all(Object.values(queues).map(({ queue }) => queue.close()));
    },
  };
}

function createQueue(lane: Lane, { client }: QueueConnection, { prefix }: JobProducerOptions) {
  const queue = new Queue(lane, {
    connection: client,
    prefix,
    skipMetasUpdate: true,
    // Both wait for an answer of Redis: a producer that starts without it must fail, not hang.
    skipVersionCheck: true,
    skipWaitingForReady: true,
  });
  // The connection's owner logs its errors.
  queue.on("error", () => undefined);
  const backend = queue.getBackend();
  const addJobs = loadScript(client, new URL("add-jobs.lua", import.meta.url));
  const { wait = "", marker = "", active = "" } = backend.keys;
  const names = [wait, marker, active, backend.toKey(offersName)];
  const adding = createTurnBatch<Addition>((batch) => {
    const args: ScriptArgument[] = [backend.toKey(""), offerTtlMs];
    for (const { job } of batch) args.push(job.head.id, job.enqueuedAt, encodeJob(job));
    addJobs(names, args).then(
      () => batch.forEach(({ resolve }) => resolve()),
      (error: Error) => batch.forEach(({ reject }) => reject(error)),
    );
  }, mostPerScript);
  return { queue, backend, adding };
}

interface Addition {
  readonly job: CallJob;
  resolve(): void;
  reject(error: Error): void;
}

/** Redis refused the command, or it never entered a socket; anything else may have been carried out. */
function isCertain(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "ReplyError" || error.message.startsWith("Stream isn't writeable");
}
