import type { JobConsumer } from "#shared/queue/job-consumer.ts";

/** How many background jobs a dispatcher runs at a time: as many as the workers have room for, not all that wait. */
export interface LanePace {
  /** A job comes back because interactive calls use what its targets take. */
  stoodBack(now: number): void;
  /** Some time has passed: more jobs may be tried. */
  tick(now: number): void;
  readonly concurrency: number;
}

export const paceTickMs = 250;
const firstConcurrency = 8;
/** After a job stood back, only one more is tried with every tick for so long. */
const cautiousMs = 5_000;

/**
 * Sets the concurrency of the lane's consumer. Every job too many costs a way to a worker and back, so the lane falls
 * to what really runs, to none if nothing does, and rises with time: answers may take minutes.
 */
export function createLanePace(consumer: Pick<JobConsumer, "running" | "setConcurrency">, most: number): LanePace {
  let concurrency = Math.min(firstConcurrency, most);
  let stoodBackAt = Number.NEGATIVE_INFINITY;
  function set(next: number): void {
    if (next === concurrency) return;
    concurrency = next;
    consumer.setConcurrency(next);
  }
  consumer.setConcurrency(concurrency);
  return {
    stoodBack(now) {
      stoodBackAt = now;
      // The job itself still counts.
      set(Math.max(0, Math.min(concurrency, consumer.running - 1)));
    },
    tick(now) {
      if (consumer.running < concurrency) return;
      const step = now - stoodBackAt < cautiousMs ? 1 : Math.max(1, Math.floor(concurrency / 4));
      set(Math.min(most, concurrency + step));
    },
    get concurrency() {
      return concurrency;
    },
  };
}
