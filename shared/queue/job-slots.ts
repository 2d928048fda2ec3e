import { setImmediate as turnEnd } from "node:timers/promises";
import { startTimer } from "#shared/runtime/deadline.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { LaneWorker } from "./lane-worker.ts";
import type { TakenJob } from "./taken-job.ts";

export interface JobSlotsOptions {
  readonly worker: LaneWorker;
  readonly concurrency: number;
  readonly logger: Logger;
  /** Runs a job. True when it is done with and to be removed, false when it is so or has another place. Never rejects. */
  run(job: TakenJob): Promise<boolean>;
}

const mostTakes = 64;
const retryMs = 250;

/**
 * Takes as many jobs at a time as there are slots. States: taking → stopped, in which jobs in hand still finish. While
 * there are free slots it waits for signs of jobs, for the next one while it takes what the last one was for; when there
 * are none, finished jobs are exchanged for the next.
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
  /** Takes that were begun, but for those of finished jobs. */
  #taking: Promise<void> = Promise.resolve();
  /** When to look again without a sign: the next parked job is due, or Redis may be back. */
  #dueAt = Infinity;
  #stopTimer = (): void => undefined;

  constructor(options: JobSlotsOptions) {
    this.#options = options;
    this.#concurrency = options.concurrency;
    options.worker.serve({
      room: (mine) => (this.#isStopped ? 0 : this.#free + mine),
      free: () => this.#concurrency - this.#running,
      // While a take is under way no slot may be left for another.
      look: () => void this.#taking.then(() => this.#take()),
      take: (job) => void this.#fill(job),
    });
    this.ended = this.#loop();
  }

  get running(): number {
    return this.#running;
  }

  /** No known job waits for a slot: the end of one is not to be exchanged for another. */
  get hasRoom(): boolean {
    return this.#free > 0 && this.#backlog === 0;
  }

  setConcurrency(concurrency: number): void {
    this.#concurrency = concurrency;
    this.#options.worker.retract();
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopTimer();
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
    const { worker } = this.#options;
    // Jobs and parked jobs of before our time give no sign.
    this.#take();
    while (!this.#isStopped) {
      // Right behind the take, which leaves with the turn: Redis is woken once for both, and jobs that come before the take
      // need no sign.
      await turnEnd();
      const sign = await worker.sign();
      // Not before is it known what is free.
      await this.#taking;
      if (this.#isStopped || this.#free <= 0) {
        await worker.passOn(sign).catch(() => undefined);
        await this.#room();
      } else if (sign.dueAt > 0) {
        this.#lookAt(sign.dueAt);
        continue;
      }
      // After a full lane also without a sign: what it holds gives none a second time.
      this.#take();
    }
    await this.#taking;
    await this.#options.worker.withdraw();
  }

  #take(): void {
    const others = this.#taking;
    this.#taking = this.#takeAll().then(() => others);
  }

  async #takeAll(): Promise<void> {
    while (this.#free > 0 && !this.#isStopped) {
      if ((await this.#exchange([], Math.min(this.#free, mostTakes))) === 0) return;
    }
  }

  /** Takes at a time (milliseconds since the epoch), or as soon after as there is a free slot. */
  #lookAt(at: number): void {
    if (this.#isStopped || at >= this.#dueAt) return;
    this.#stopTimer();
    this.#dueAt = at;
    this.#stopTimer = startTimer(at, () => {
      this.#dueAt = Infinity;
      void this.#room().then(() => this.#take());
    });
  }

  /** Resolves when there is a free slot, or at the end. */
  async #room(): Promise<void> {
    while (this.#free <= 0 && !this.#isStopped) await this.#change();
  }

  async #fill(job: TakenJob): Promise<void> {
    this.#running += 1;
    if (await this.#options.run(job)) return this.#finishing.add(job);
    this.#leave(1, 0);
  }

  async #finish(jobs: readonly TakenJob[]): Promise<void> {
    const isFull = this.#free <= 0;
    const room = Math.min(this.#free + jobs.length, isFull ? mostTakes : this.#backlog);
    await this.#exchange(jobs, this.#isStopped ? 0 : Math.max(0, room));
  }

  /** Returns the jobs left in the lane. */
  async #exchange(done: readonly TakenJob[], want: number): Promise<number> {
    const { logger, worker } = this.#options;
    const promised = Math.max(0, want - done.length);
    this.#backlog = Math.max(0, this.#backlog - want);
    this.#promised += promised;
    try {
      const exchange = await worker.exchange(done, want);
      this.#backlog = exchange.waiting;
      this.#leave(done.length, promised);
      for (const job of exchange.taken) void this.#fill(job);
      if (exchange.taken.length > 0) worker.retract();
      // Their locks ran out while Redis or this process stood still: another dispatcher has them, or will.
      for (const callId of exchange.lost) logger.debug({ callId }, "job was not ours any more");
      if (exchange.dueAt > 0) this.#lookAt(exchange.dueAt);
      return exchange.waiting;
    } catch (error) {
      this.#leave(done.length, promised);
      logger.debug({ err: error }, "no jobs exchanged");
      this.#lookAt(Date.now() + retryMs);
      return 0;
    }
  }

  #leave(running: number, promised: number): void {
    this.#running -= running;
    this.#promised -= promised;
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakers.add(resolve));
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }
}
