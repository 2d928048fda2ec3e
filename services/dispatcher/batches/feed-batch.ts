import { canceledItem, expiredItem } from "#shared/messages/batch-result.ts";
import type { JobProducer } from "#shared/queue/job-producer.ts";
import { sleep } from "#shared/runtime/deadline.ts";
import type { BatchFeed, FedItem } from "#shared/store/batch-feed.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import type { ItemStore } from "#shared/store/item-store.ts";
import type { NativeRun } from "#shared/store/native-runs.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { addRunJobs, divertToRuns, itemsOf, wakeRuns, type RunFeedDeps } from "../native/feed-runs.ts";
import { freeOfCharge, type ItemBudgetDeps } from "./item-budgets.ts";
import { createFeedOrder } from "./feed-order.ts";
import { itemCallId, itemJob } from "./item-job.ts";
import { createLaneRoom } from "./lane-room.ts";

export interface BatchFeederDeps extends RunFeedDeps, Pick<ItemBudgetDeps, "keyBudgets"> {
  readonly redis: RedisConnection;
  readonly feed: BatchFeed;
  readonly items: Pick<ItemStore, "record">;
  readonly producer: Pick<JobProducer, "add" | "remove" | "depth">;
  /** Most items of one batch in the lane. */
  readonly window: number;
  readonly logger: Logger;
}

/** Brings the items of batches into the lane `background`: one dispatcher at a time does, the others stand by. */
export interface BatchFeeder {
  /** Resolves when it has stopped and another may go on. */
  stop(): Promise<void>;
}

const lane = "background";
const leaseMs = 5000;
const standbyMs = 1000;
const idleMs = 1000;
const tickMs = 25;
/** Between two looks at windows that are full. */
const fullMs = 100;
/** Items of a key before the next key's turn. */
const turnItems = 8;
/** How often it is checked that every open item has its job. */
const sweepEveryMs = 15_000;
/** After its expiry a batch's running items get this long to end by themselves. */
const graceMs = 5000;

interface OpenBatch {
  record: BatchRecord;
  sweptAt: number;
  /** It had nothing left to give when it was asked last. */
  rests: boolean;
  /** What providers run of it themselves. */
  runs: readonly NativeRun[];
}

export function startBatchFeeder(deps: BatchFeederDeps): BatchFeeder {
  const feeder = new Feeder(deps);
  const running = feeder.run();
  return {
    async stop() {
      feeder.stop();
      await running;
    },
  };
}

/** States: standing by ⇄ feeding (while it holds the lease) → stopped. What it remembers is worth nothing without the lease. */
class Feeder {
  readonly #deps: BatchFeederDeps;
  readonly #stopped = new AbortController();
  readonly #stopNews: () => void;
  #batches = new Map<string, OpenBatch>();
  #order = createFeedOrder();
  #room = createLaneRoom();
  #readAt = 0;
  #heldUntil = 0;
  #wake: (() => void) | undefined;
  #hasNews = true;
  /** The last turn went through. */
  #isFeeding = false;

  constructor(deps: BatchFeederDeps) {
    this.#deps = deps;
    this.#stopNews = deps.feed.onNews(() => {
      this.#hasNews = true;
      this.#wake?.();
    });
  }

  stop(): void {
    this.#stopped.abort();
    this.#stopNews();
    this.#wake?.();
  }

  async run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const pauseMs = await this.#turn().catch((reason: unknown) => {
        this.#deps.logger.debug({ err: reason }, "batches not fed");
        return standbyMs;
      });
      await this.#pause(pauseMs);
    }
    await this.#deps.feed.lease.release().catch(() => undefined);
  }

  /** Resolves with how long to wait for the next. */
  async #turn(): Promise<number> {
    const now = Date.now();
    this.#isFeeding = false;
    if (!this.#deps.redis.isReady) return standbyMs;
    if (!(await this.#hold(now))) return standbyMs;
    if (this.#hasNews || now - this.#readAt >= idleMs) await this.#readBatches(now);
    const pauseMs = await this.#fill();
    this.#isFeeding = true;
    return pauseMs;
  }

  async #hold(now: number): Promise<boolean> {
    if (now < this.#heldUntil - leaseMs / 2) return true;
    const isHeld = await this.#deps.feed.lease.hold(leaseMs);
    if (!isHeld || now >= this.#heldUntil) this.#forget();
    this.#heldUntil = isHeld ? now + leaseMs : 0;
    return isHeld;
  }

  #forget(): void {
    this.#batches.clear();
    this.#hasNews = true;
  }

  async #readBatches(now: number): Promise<void> {
    this.#hasNews = false;
    this.#readAt = now;
    const open = await this.#deps.feed.openBatches();
    const batches = new Map<string, OpenBatch>();
    for (const record of await Promise.all(Array.from(open.keys(), (id) => this.#deps.feed.read(id))))
      if (record) batches.set(record.id, await this.#withRuns(record));
    this.#batches = batches;
    for (const batch of batches.values()) await this.#attend(batch, now);
  }

  async #withRuns(record: BatchRecord): Promise<OpenBatch> {
    const before = this.#batches.get(record.id);
    const runs = await this.#deps.runs.all(record.id);
    // What a provider has not done of a run that is over is to be done now.
    const sweptAt = before === undefined || runs.length < before.runs.length ? 0 : before.sweptAt;
    return { record, sweptAt, rests: false, runs };
  }

  /** Whatever a batch needs besides new items. */
  async #attend(batch: OpenBatch, now: number): Promise<void> {
    const { record } = batch;
    if (record.state === "canceling") return this.#close(batch, "canceled");
    if (now >= record.expiresAt) return this.#close(batch, "expired");
    if (now - batch.sweptAt < sweepEveryMs) return;
    batch.sweptAt = now;
    await addRunJobs(record, batch.runs, this.#deps);
    const inRuns = itemsOf(batch.runs);
    const jobless = await this.#deps.feed.findLost(record.id, (item) => itemCallId(record.id, item));
    const lost = jobless.filter(({ index }) => !inRuns.has(index));
    if (lost.length === 0) return;
    this.#deps.logger.warn({ batchId: record.id, items: lost.length }, "items without a job put into the lane again");
    await this.#add(record, lost, true);
  }

  /** What never ran ends at once; what waits in the lane is taken out; what runs may finish. */
  async #close(batch: OpenBatch, end: "canceled" | "expired"): Promise<void> {
    batch.rests = true;
    const { record } = batch;
    const hasEnded = await this.#deps.feed.close(record, end);
    if (hasEnded || (end === "expired" && Date.now() < record.expiresAt + graceMs)) return;
    if (end === "canceled") await wakeRuns(record, batch.runs, this.#deps);
    const inRuns = itemsOf(batch.runs);
    const all = await this.#deps.feed.openItems(record.id);
    const open = end === "canceled" ? all.filter((index) => !inRuns.has(index)) : all;
    const result = end === "canceled" ? canceledItem : expiredItem;
    await Promise.all(
      open.map(async (index) => {
        const removed = await this.#deps.producer.remove(lane, itemCallId(record.id, index));
        if (removed === "running") return;
        const item = { batchId: record.id, index, keyId: record.keyId };
        // What a provider runs itself is paid, or given back, when it is known what came of it.
        const charge = inRuns.has(index) ? undefined : freeOfCharge(item, this.#deps);
        await this.#deps.items.record(item, result, { charge });
      }),
    );
  }

  /** Puts as many items into the lane as it takes. Resolves with how long to wait before the next time. */
  async #fill(): Promise<number> {
    const waiting = this.#byKey();
    if (waiting.size === 0) return idleMs;
    const depth = await this.#deps.producer.depth();
    let room = this.#room.roomFor(depth[lane].waiting);
    const hadRoom = room;
    while (room > 0) {
      const [keyId] = this.#order.sort(waiting.keys(), Date.now());
      if (keyId === undefined) break;
      const batches = waiting.get(keyId) ?? [];
      // One after the other within a key.
      const batch = batches.shift();
      if (batch === undefined) {
        waiting.delete(keyId);
        continue;
      }
      const isAlone = waiting.size === 1 && batches.length === 0;
      const taken = await this.#takeFrom(batch, isAlone ? room : Math.min(room, turnItems));
      if (taken === undefined) continue;
      batches.push(batch);
      room -= taken;
    }
    return hadRoom > 0 && room === hadRoom ? fullMs : tickMs;
  }

  /** Batches that may have something to give, by their keys. */
  #byKey(): Map<string, OpenBatch[]> {
    const giving = [...this.#batches.values()].filter(({ record, rests }) => !rests && record.state === "in_progress");
    return Map.groupBy(giving, ({ record }) => record.keyId);
  }

  /** Undefined when the batch gives nothing for now. */
  async #takeFrom(batch: OpenBatch, most: number): Promise<number | undefined> {
    const { record } = batch;
    const window = this.#deps.window + itemsOf(batch.runs).size;
    const taken = await this.#deps.feed.take(record.id, most, window);
    if (typeof taken === "string") {
      batch.rests = taken !== "full";
      if (taken === "lease_lost") this.#heldUntil = 0;
      if (taken === "closed") this.#hasNews = true;
      return undefined;
    }
    const { calls, made } = await divertToRuns(record, taken, this.#deps);
    batch.runs = [...batch.runs, ...made];
    this.#order.charge(record.keyId, calls.length, Date.now());
    await this.#add(record, calls, false);
    return calls.length;
  }

  async #add(record: BatchRecord, items: readonly FedItem[], reopened: boolean): Promise<void> {
    const adds = items.map((item) => this.#deps.producer.add(lane, itemJob(record, item, reopened)));
    const results = await Promise.allSettled(adds);
    // An item whose job did not get there is found without one.
    const batch = this.#batches.get(record.id);
    if (batch && results.some(({ status }) => status === "rejected")) batch.sweptAt = 0;
  }

  async #pause(ms: number): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await sleep(this.#hasNews && this.#isFeeding ? Math.min(ms, tickMs) : ms, woken.signal).catch(() => undefined);
    this.#wake = undefined;
  }
}
