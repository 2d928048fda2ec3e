import type { Logger } from "#shared/telemetry/logger.ts";
import type { LaneWorker, TakenJob } from "./lane-worker.ts";

export interface JobSlotsOptions {
  readonly worker: LaneWorker;
  readonly concurrency: number;
  readonly logger: Logger;
  /** Runs a job. True when it is done with and to be removed, false when it has another place by now. Never rejects. */
  run(job: TakenJob): Promise<boolean>;
}

const mostTakes = 64;
const retryMs = 250;
const unseen = { waiting: 0, dueAt: 0 };

/**
 * Takes as many jobs at a time as there are slots. States: taking → stopped, in which jobs in hand still finish. While
 * there are free slots it waits for signs of jobs; when there are none, each slot takes its next job itself.
 */
export class JobSlots {
  /** Resolves some time after `stop`: then no take is under way, and none will be. */
  readonly ended: Promise<void>;
  readonly #options: JobSlotsOptions;
  readonly #tokenPrefix = crypto.randomUUID();
  readonly #wakers = new Set<() => void>();
  #tokens = 0;
  #concurrency: number;
  #running = 0;
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
    return this.#concurrency - this.#running;
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

  /** One by itself; then, all in one write, as many as the lane was seen to hold. */
  async #takeAll(): Promise<number> {
    for (let want = 1; want > 0; want = this.#isStopped ? 0 : Math.min(this.#backlog, this.#free, mostTakes)) {
      this.#backlog = Math.max(0, this.#backlog - want);
      // In this turn's write, behind the takes: they leave a microtask later, so an immediate of now comes after them.
      const looking = nextImmediate().then(() => this.#options.worker.look().catch(() => unseen));
      const dues = await Promise.all(Array.from({ length: want }, () => this.#take()));
      const view = await looking;
      this.#backlog = view.waiting;
      const dueAt = dues.find((due) => due !== undefined);
      if (dueAt !== undefined) return dueAt;
      if (view.waiting === 0) return view.dueAt;
    }
    return 0;
  }

  /** Undefined when a job was taken and is running; else when the next parked one is due. */
  async #take(): Promise<number | undefined> {
    try {
      const taken = await this.#options.worker.take(`${this.#tokenPrefix}:${(this.#tokens += 1)}`);
      if (!taken.job) return taken.dueAt;
      void this.#fill(taken.job);
      return undefined;
    } catch (error) {
      this.#options.logger.debug({ err: error }, "no job taken");
      return Date.now() + retryMs;
    }
  }

  async #fill(first: TakenJob): Promise<void> {
    this.#running += 1;
    let job: TakenJob | undefined = first;
    while (job) job = (await this.#options.run(job)) ? await this.#finish(job) : undefined;
    this.#running -= 1;
    this.#wake();
  }

  async #finish(job: TakenJob): Promise<TakenJob | undefined> {
    const isFull = this.#free === 0;
    const takeNext = !this.#isStopped && (isFull || (this.#free > 0 && this.#backlog > 0));
    if (takeNext) this.#backlog = Math.max(0, this.#backlog - 1);
    try {
      const next = await this.#options.worker.finish(job, takeNext);
      if (takeNext && !next) this.#backlog = 0;
      return next;
    } catch (error) {
      // Its lock ran out while Redis or this process stood still: another dispatcher has it, or will.
      this.#options.logger.debug({ err: error, callId: job.id }, "job was not ours any more");
      return undefined;
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakers.add(resolve));
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }
}

function nextImmediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
