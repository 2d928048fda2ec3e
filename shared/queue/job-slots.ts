import { createTurnBatch } from "#shared/runtime/turn-batch.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Exchange, LaneWorker, TakenJob } from "./lane-worker.ts";

export interface JobSlotsOptions {
  readonly worker: LaneWorker;
  readonly concurrency: number;
  readonly logger: Logger;
  /** Runs a job. True when it is done with and to be removed, false when it has another place by now. Never rejects. */
  run(job: TakenJob): Promise<boolean>;
}

const mostTakes = 64;
const retryMs = 250;

/**
 * Takes as many jobs at a time as there are slots. States: taking → stopped, in which jobs in hand still finish. While
 * there are free slots it waits for signs of jobs; when there are none, finished jobs are exchanged for the next.
 */
export class JobSlots {
  /** Resolves some time after `stop`: then no take is under way, and none will be. */
  readonly ended: Promise<void>;
  readonly #options: JobSlotsOptions;
  readonly #wakers = new Set<() => void>();
  readonly #finishing = createTurnBatch<TakenJob>((jobs) => void this.#finish(jobs), mostTakes);
  #concurrency: number;
  #running = 0;
  /** Slots that takes under way may fill. */
  #promised = 0;
  /** Jobs believed to wait that no take under way is for. */
  #backlog = 0;
  #isStopped = false;

  constructor(options: JobSlotsOptions) {
    this.#options = options;
    this.#concurrency = options.concurrency;
    this.ended = this.#loop();
  }

  get running(): number {
    return this.#running;
  }

  setConcurrency(concurrency: number): void {
    this.#concurrency = concurrency;
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#options.worker.hush();
    this.#wake();
  }

  /** Resolves when no job runs any more, or the signal aborts. */
  async idle(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener("abort", onAbort);
    while (this.#running > 0 && !signal.aborted) await this.#change();
    signal.removeEventListener("abort", onAbort);
  }

  get #free(): number {
    return this.#concurrency - this.#running - this.#promised;
  }

  async #loop(): Promise<void> {
    // Jobs and parked jobs of before our time give no sign.
    let dueAt = await this.#takeAll();
    while (!this.#isStopped) {
      if (this.#free <= 0) {
        await this.#change();
        // What a full lane holds gives no sign a second time.
        if (this.#free > 0 && !this.#isStopped) dueAt = await this.#takeAll();
        continue;
      }
      const sign = await this.#options.worker.sign(dueAt);
      if (this.#isStopped) {
        if (sign.isTaken) await this.#options.worker.passOn().catch(() => undefined);
        return;
      }
      dueAt = sign.dueAt === 0 ? await this.#takeAll() : sign.dueAt;
    }
  }

  /** Returns when to look again: the next parked job is due then, or Redis may be back; 0 at the next sign. */
  async #takeAll(): Promise<number> {
    while (this.#free > 0 && !this.#isStopped) {
      const seen = await this.#exchange([], Math.min(this.#free, mostTakes));
      if (seen.waiting === 0) return seen.dueAt;
    }
    return 0;
  }

  async #fill(job: TakenJob): Promise<void> {
    this.#running += 1;
    if (await this.#options.run(job)) return this.#finishing.add(job);
    this.#running -= 1;
    this.#wake();
  }

  async #finish(jobs: readonly TakenJob[]): Promise<void> {
    const isFull = this.#free <= 0;
    const room = Math.min(this.#free + jobs.length, isFull ? mostTakes : this.#backlog);
    await this.#exchange(jobs, this.#isStopped ? 0 : Math.max(0, room));
    this.#wake();
  }

  async #exchange(done: readonly TakenJob[], want: number): Promise<Pick<Exchange, "waiting" | "dueAt">> {
    const { logger, worker } = this.#options;
    const promised = Math.max(0, want - done.length);
    this.#backlog = Math.max(0, this.#backlog - want);
    this.#promised += promised;
    try {
      const exchange = await worker.exchange(done, want);
      this.#backlog = exchange.waiting;
      this.#leave(done.length, promised);
      for (const job of exchange.taken) void this.#fill(job);
      // Their locks ran out while Redis or this process stood still: another dispatcher has them, or will.
      for (const callId of exchange.lost) logger.debug({ callId }, "job was not ours any more");
      return exchange;
    } catch (error) {
      this.#leave(done.length, promised);
      logger.debug({ err: error }, "no jobs exchanged");
      return { waiting: 0, dueAt: Date.now() + retryMs };
    }
  }

  #leave(running: number, promised: number): void {
    this.#running -= running;
    this.#promised -= promised;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakers.add(resolve));
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }
}
