import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { ChannelSource } from "#shared/queue/handover.ts";
import { createJobConsumer, type JobConsumer } from "#shared/queue/job-consumer.ts";
import { lanes, type CallJob, type Lane } from "#shared/queue/job.ts";
import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import type { BatchFeed } from "#shared/store/batch-feed.ts";
import type { BudgetStore } from "#shared/store/budget-store.ts";
import type { CallRegistry } from "#shared/store/call-registry.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import type { ItemStore } from "#shared/store/item-store.ts";
import type { NativeRuns } from "#shared/store/native-runs.ts";
import { subscribeChannel } from "#shared/store/subscribe-channel.ts";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import type { TraceStore } from "#shared/store/trace-store.ts";
import type { UsageStore } from "#shared/store/usage-store.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { startBatchFeeder } from "./batches/feed-batch.ts";
import { withItems } from "./batches/handle-item.ts";
import { createItemRecorder } from "./batches/record-item.ts";
import { createJobHandler } from "./handle-job.ts";
import type { KeyBudgets } from "./key-budgets.ts";
import { createLanePace, paceTickMs, type LanePace } from "./lane-pace.ts";
import { withRuns } from "./native/handle-run.ts";
import type { FindNativeTarget } from "./native/native-targets.ts";
import { createRunningCalls } from "./running-calls.ts";
import { createSettler, type Recorders } from "./settle.ts";
import { watchCancels } from "./watch-cancels.ts";
import { watchDepth } from "./watch-depth.ts";

export interface DispatcherDeps {
  readonly usage: Pick<UsageStore, "add">;
  readonly budgets: Pick<BudgetStore, "reserve" | "settle" | "release">;
  readonly keyBudgets: Pick<KeyBudgets, "find">;
  readonly prices: PriceBook;
  readonly redis: RedisConnection;
  /** For the lanes: waits for Redis however long it takes. */
  readonly blocking: RedisConnection;
  readonly subscriber: RedisConnection;
  readonly results: ResultStore;
  readonly calls: Pick<CallRegistry, "laterDeadline">;
  readonly recorders: Recorders;
  readonly pool: WorkerPool;
  readonly producer: Pick<JobProducer, "add" | "remove" | "depth">;
  readonly feed: BatchFeed;
  readonly items: ItemStore;
  readonly runs: NativeRuns;
  readonly nativeTargetOf: FindNativeTarget;
  readonly traces: Pick<TraceStore, "put">;
  /** Most items of one batch in the lane. */
  readonly window: number;
  readonly prefix: string;
  /** Jobs at a time, by lane; of the background lane the most. */
  readonly concurrency: Readonly<Record<Lane, number>>;
  /** How long the jobs of a dispatcher that says nothing more are left to it. */
  readonly lockMs: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface Dispatcher {
  /** Jobs in hand. */
  readonly running: number;
  /** Outcomes that wait for Redis. */
  readonly unsettled: number;
  /** Takes no more jobs and resolves when those in hand are done; when the signal aborts, the rest is given back. */
  drain(signal: AbortSignal): Promise<void>;
  close(): void;
}

const overdueEveryMs = 500;

/** Takes jobs from every lane, gives them to workers and settles their outcomes. Works from the start. */
export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { logger } = deps;
  const running = createRunningCalls();
  const settler = createSettler({ ...deps, recorders: { ...deps.recorders, item: createItemRecorder(deps) } });
  let backgroundPace: LanePace | undefined;
  const handlerDeps = { ...deps, running, settler, onStoodBack: () => backgroundPace?.stoodBack(Date.now()) };
  const feeder = startBatchFeeder(deps);
  const stopCancels = watchCancels(running, deps);
  const stopDepth = watchDepth(deps);
  const laterDeadline = (callId: string): Promise<number | undefined> => deps.calls.laterDeadline(callId);
  const overdue = setInterval(() => running.endOverdue(Date.now(), laterDeadline), overdueEveryMs).unref();
  const closed = new AbortController();

  function onFailed(job: CallJob, reason: string): void {
    const { id: callId } = job.head;
    logger.error({ callId, reason }, "job failed");
    const outcome = errorOutcome(new GatewayError("internal", "Internal gateway error."), callId);
    void settler.settle({ job, outcome }, closed.signal);
  }

  const { callMarks } = createStoreKeys(deps.prefix);
  const handing: ChannelSource = {
    subscribe: (channel, handlers) => subscribeChannel(deps.subscriber, channel, handlers),
  };
  const consumers = lanes.map((lane) =>
    createJobConsumer({
      lane,
      concurrency: deps.concurrency[lane],
      lockMs: deps.lockMs,
      connection: deps.blocking,
      settling: deps.redis,
      // Background calls come by the thousand, and how many run follows the load.
      ...(lane === "background" ? undefined : { handing }),
      prefix: deps.prefix,
      marks: callMarks,
      logger,
      handle: withRuns(withItems(createJobHandler(lane, handlerDeps), handlerDeps), deps),
      onFailed,
    }),
  );
  const background = consumers[lanes.indexOf("background")];
  if (background) backgroundPace = createLanePace(background, deps.concurrency.background);
  const pacing = setInterval(() => backgroundPace?.tick(Date.now()), paceTickMs).unref();
  return {
    get running() {
      return sum(consumers);
    },
    get unsettled() {
      return settler.unsettled;
    },
    drain: async (signal) => {
      await Promise.all([feeder.stop(), ...consumers.map((consumer) => consumer.close(signal))]);
    },
    close: () => {
      void feeder.stop();
      stopCancels();
      stopDepth();
      clearInterval(overdue);
      clearInterval(pacing);
      closed.abort();
    },
  };
}

function sum(consumers: readonly JobConsumer[]): number {
  return consumers.reduce((total, { running }) => total + running, 0);
}
