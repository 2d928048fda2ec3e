import { randomBytes } from "node:crypto";
import type { KeyConfig } from "#shared/config/schema.ts";
import type { WorkerCall } from "#shared/messages/call.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { createJobProducer, type JobProducer } from "#shared/queue/job-producer.ts";
import type { CallJob, Lane } from "#shared/queue/job.ts";
import type { CallContext } from "#shared/rpc/call-handler.ts";
import { createUsageStore } from "#shared/store/usage-store.ts";
import { createWorkerPool } from "#shared/rpc/worker-pool.ts";
import { startWorkerServer, type WorkerServer } from "#shared/rpc/worker-server.ts";
import { createBatchFeed } from "#shared/store/batch-feed.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { createPriceBook } from "#shared/routing/price-book.ts";
import { createBudgetStore } from "#shared/store/budget-store.ts";
import { createCallRegistry } from "#shared/store/call-registry.ts";
import { connectRedis, type RedisConnection } from "#shared/store/connect-redis.ts";
import { createItemStore } from "#shared/store/item-store.ts";
import { createNativeRuns } from "#shared/store/native-runs.ts";
import { createReplyBus, type ReplyBus } from "#shared/store/reply-bus.ts";
import { createResultStore, type ResultStore } from "#shared/store/result-store.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { createDispatcher, type Dispatcher } from "../../services/dispatcher/dispatcher.ts";
import { createKeyBudgets } from "../../services/dispatcher/key-budgets.ts";
import type { Recorders } from "../../services/dispatcher/settle.ts";
import { freePort } from "./free-port.ts";
import { callId, patience, sampleHead, sampleJob } from "./store-bed.ts";

/** What stands in for a worker's engine. */
export type Answer = (call: WorkerCall, context: CallContext) => Promise<Outcome>;

/** A dispatcher between a real Redis, where the test puts jobs, and a real worker server, which answers as told. */
export interface DispatcherBench {
  readonly producer: JobProducer;
  readonly results: ResultStore;
  readonly replies: ReplyBus;
  readonly redis: RedisConnection;
  readonly dispatcher: Dispatcher;
  readonly prefix: string;
  /** Calls that the worker was given. */
  readonly calls: readonly WorkerCall[];
  /** How the worker answers from now on. */
  answer: Answer;
  /** Puts a job into a lane, the interactive one unless told, and waits for its outcome; rejects when none comes in time. */
  run(job: CallJob, timeoutMs?: number, lane?: Lane): Promise<Outcome>;
  startWorker(): Promise<void>;
  /** One more dispatcher on the same lanes. */
  addDispatcher(): Promise<Dispatcher>;
  close(): Promise<void>;
}

const logger = createLogger({ name: "test", level: "silent" });
const token = "a token for tests";

export interface BenchOptions {
  readonly worker: boolean;
  /** Most background jobs at a time. */
  readonly background?: number;
  readonly recorders?: Recorders;
  /** Whose budgets the dispatchers know. */
  readonly keys?: readonly Pick<KeyConfig, "name" | "budget">[];
}

export async function startDispatcherBench(
  redisUrl: string,
  options: BenchOptions = { worker: true },
): Promise<DispatcherBench> {
  const { background = 5, recorders = {}, keys = [] } = options;
  const closers: (() => unknown)[] = [];
  const prefix = `t${randomBytes(6).toString("hex")}`;
  const redis = connect(redisUrl, "command", closers);
  const subscriber = connect(redisUrl, "subscriber", closers);
  const results = createResultStore({ redis, subscriber, prefix, ttlMs: 60_000 });
  const replies = createReplyBus({ subscriber, prefix, instanceId: prefix, logger });
  const producer = createJobProducer(redis, { prefix });
  closers.push(
    () => results.close(),
    () => replies.close(),
    () => producer.close(),
  );
  const port = await freePort();
  const calls: WorkerCall[] = [];
  let worker: WorkerServer | undefined;
  closers.push(() => worker?.close());
  await redis.ready();
  await replies.ready();

  const bench: Omit<DispatcherBench, "dispatcher"> = {
    producer,
    results,
    replies,
    redis,
    prefix,
    calls,
    answer: async () => answerOf("hello"),
    run: (job, timeoutMs = 40_000, lane = "interactive") => runJob(bench, job, { timeoutMs, lane }),
    async startWorker() {
      const handler = {
        invoke: (call: WorkerCall, context: CallContext) => {
          calls.push(call);
          return bench.answer(call, context);
        },
        stream: () => Promise.reject(new Error("no streams here")),
      };
      worker = await startWorkerServer({ listen: `127.0.0.1:${port}`, token, logger, handler });
    },
    addDispatcher: () => addDispatcher({ redisUrl, prefix, port, background, recorders, keys }, closers),
    async close() {
      for (const close of closers.splice(0).toReversed()) await close();
    },
  };
  if (options.worker) await bench.startWorker();
  return Object.assign(bench, { dispatcher: await bench.addDispatcher() });
}

interface Place extends Required<Omit<BenchOptions, "worker">> {
  readonly redisUrl: string;
  readonly prefix: string;
  readonly port: number;
}

async function addDispatcher(
  { redisUrl, prefix, port, background, recorders, keys }: Place,
  closers: (() => unknown)[],
): Promise<Dispatcher> {
  const redis = connect(redisUrl, "command", closers);
  const blocking = connect(redisUrl, "blocking", closers);
  const subscriber = connect(redisUrl, "subscriber", closers);
  const results = createResultStore({ redis, subscriber, prefix, ttlMs: 60_000 });
  const producer = createJobProducer(redis, { prefix });
  const usage = createUsageStore({ redis, prefix, keepMs: 60_000, logger });
  const budgets = createBudgetStore({ redis, prefix, logger });
  const pool = createWorkerPool({
    address: `ipv4:127.0.0.1:${port}`,
    token,
    peer: { kind: "dispatcher", id: randomBytes(6).toString("hex") },
    logger,
    resolveEveryMs: 100,
  });
  await redis.ready();
  const dispatcher = createDispatcher({
    redis,
    blocking,
    subscriber,
    results,
    calls: createCallRegistry({ redis, prefix }),
    recorders,
    pool,
    producer,
    prefix,
    feed: createBatchFeed({ redis, subscriber, prefix, holder: randomBytes(6).toString("hex") }),
    items: createItemStore({ redis, prefix }),
    runs: createNativeRuns({ redis, prefix }),
    nativeTargetOf: () => undefined,
    traces: { put: () => undefined },
    prices: createPriceBook(createCatalogue({ models: {}, providers: {} }), {}),
    usage,
    budgets,
    keyBudgets: createKeyBudgets({ keys, oidc: [] }),
    window: 50,
    concurrency: { interactive: 50, count: 10, background },
    lockMs: 15_000,
    logger,
    metrics,
  });
  closers.push(
    () => results.close(),
    () => usage.close(),
    () => budgets.close(),
    () => producer.close(),
    () => pool.close(),
    () => dispatcher.close(),
    () => dispatcher.drain(AbortSignal.abort()),
  );
  return dispatcher;
}

function connect(
  redisUrl: string,
  purpose: "command" | "blocking" | "subscriber",
  closers: (() => unknown)[],
): RedisConnection {
  const connection = connectRedis(redisUrl, purpose, { logger, ...patience(redisUrl) });
  closers.push(() => connection.close());
  return connection;
}

async function runJob(
  bench: Omit<DispatcherBench, "dispatcher">,
  job: CallJob,
  { timeoutMs, lane }: { readonly timeoutMs: number; readonly lane: Lane },
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const forget = bench.replies.expect(job.head.id, resolve);
  const timer = setTimeout(() => reject(new Error("no outcome in time")), timeoutMs);
  try {
    await bench.producer.add(lane, { ...job, replyTo: bench.replies.channel });
    return await promise;
  } finally {
    clearTimeout(timer);
    forget();
  }
}

/** A job as a gateway would write it; times are milliseconds from now. */
export function jobOf({ deadlineMs = 60_000, waitMs = 30_000 } = {}): CallJob {
  const now = Date.now();
  const head = sampleHead(callId(), { deadlineAt: now + deadlineMs, waitUntil: now + waitMs });
  return sampleJob(head.id, { head });
}

/** A worker's whole answer. */
export function answerOf(text: string, more: Partial<Outcome> = {}): Outcome {
  return {
    code: "ok",
    status: 200,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ text })),
    attempts: [],
    waits: [],
    notes: [],
    ...more,
  };
}

/** A worker's answer when every target is limited until then. */
export function blockedUntil(at: number): Outcome {
  return answerOf("limited", { code: "rate_limited", status: 429, blockedUntil: at });
}
