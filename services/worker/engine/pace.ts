import type { Priority } from "#shared/messages/call.ts";
import type { Target } from "#shared/routing/catalogue.ts";
import type { AttemptEnd } from "./attempt-end.ts";

/** How many calls at a time one target takes, as this process finds out by using it. */
export interface Pace {
  /** Rises by one with every round of successes, halves with a 429. */
  readonly limit: number;
  readonly interactive: number;
  readonly background: number;
  /** Whether one more background call may start: below the limit, less what interactive calls have used lately. */
  hasRoom(now: number): boolean;
  /** An attempt starts. Interactive ones always may. */
  begin(priority: Priority, now: number): void;
  /** `blockedUntil`: until when a refusal blocks the target, for everybody. */
  end(priority: Priority, end: PacedEnd, blockedUntil: number): void;
  /** Headers of the latest answer, and when it ended. */
  readonly headers: AttemptEnd["headers"];
  readonly headersAt: number;
  /** Changes with everything above. */
  readonly version: number;
}

type PacedEnd = Pick<AttemptEnd, "reason" | "startedAt" | "endedAt" | "headers">;

/** The paces of this process, by target. */
export interface Paces {
  /** Made at first sight; two lookups and no allocation after that. */
  of(target: Target): Pace;
  all(): IterableIterator<readonly [Target, Pace]>;
}

/** Doubled in each round until the first refusal. */
export const firstLimit = 8;
/** Of the limit, beside what interactive calls used lately: for those that come suddenly. */
const spareShare = 0.1;
/** What interactive calls use counts for one to two of these. */
export const peakWindowMs = 15_000;
/** The number that was refused is not tried again before: a refusal blocks interactive calls too. */
const shortestHoldMs = 60_000;
const longestHoldMs = 600_000;
/** Of the fleet's time, a fiftieth at most is lost to such trials. */
const holdPerBlock = 50;

/** A target that refuses even so few refuses by chance or by the minute: numbers it refused meanwhile mean nothing. */
const fewInUse = 2;

export function createPace(most: number): Pace {
  return new TargetPace(most);
}

/** Additive increase, multiplicative decrease, below a ceiling that the latest refusal set for a while. */
class TargetPace implements Pace {
  readonly #most: number;
  #limit: number;
  #ceiling: number;
  #ceilingUntil = 0;
  /** Refusals of attempts that began before belong to the cut that was made then. */
  #cutAt = 0;
  #successes = 0;
  /** When so few were refused last that it cannot have been for their number. */
  #fewRefusedAt = Number.NEGATIVE_INFINITY;
  /** When there was last no room for one more. */
  #fullAt = 0;
  #peakNow = 0;
  #peakBefore = 0;
  #windowEndsAt = 0;
  interactive = 0;
  background = 0;
  headers: AttemptEnd["headers"];
  headersAt = 0;
  version = 0;

  constructor(most: number) {
    this.#most = most;
    this.#ceiling = most;
    this.#limit = Math.min(firstLimit, most);
  }

  get limit(): number {
    return Math.floor(this.#limit);
  }

  hasRoom(now: number): boolean {
    this.#turnWindow(now);
    // However small the limit, it is there to be used by somebody.
    return this.#inUse === 0 ? this.#peak < this.limit : this.#isRoomy;
  }

  begin(priority: Priority, now: number): void {
    this[priority] += 1;
    this.version += 1;
    if (priority === "interactive") {
      this.#turnWindow(now);
      if (this.interactive > this.#peakNow) this.#peakNow = this.interactive;
    }
    if (!this.#isRoomy) this.#fullAt = now;
  }

  end(priority: Priority, end: PacedEnd, blockedUntil: number): void {
    if (end.reason === "rate_limited") this.#refused(end, blockedUntil);
    else if (end.reason === "ok") this.#succeeded(end);
    this[priority] -= 1;
    this.version += 1;
    if (end.headers === undefined) return;
    this.headers = end.headers;
    this.headersAt = end.endedAt;
  }

  get #inUse(): number {
    return this.interactive + this.background;
  }

  get #isRoomy(): boolean {
    const { limit } = this;
    return this.background + this.#peak + Math.ceil(limit * spareShare) < limit;
  }

  /** What interactive calls used at a time lately. */
  get #peak(): number {
    return Math.max(this.#peakNow, this.#peakBefore);
  }

  #refused({ startedAt, endedAt: now }: PacedEnd, blockedUntil: number): void {
    const inUse = this.#inUse;
    if (startedAt <= this.#cutAt) {
      // Of several refusals at a time the later ones say better how many were too many.
      if (inUse <= this.#ceiling && this.#ceiling < this.#most) this.#ceiling = Math.max(this.#limit, inUse - 1);
      return;
    }
    if (inUse <= fewInUse) this.#fewRefusedAt = now;
    const isForNumber = now - this.#fewRefusedAt >= shortestHoldMs;
    this.#limit = Math.max(1, Math.min(this.#limit, inUse / 2));
    // Nor is it for their number when they are refused again after so few successes: then none is to be remembered.
    const isTooMany = isForNumber && this.#successes * 2 >= inUse;
    this.#ceiling = isTooMany ? Math.max(this.#limit, inUse - 1) : this.#most;
    this.#ceilingUntil = now + Math.min(longestHoldMs, Math.max(shortestHoldMs, (blockedUntil - now) * holdPerBlock));
    this.#cutAt = now;
    this.#successes = 0;
  }

  #succeeded({ startedAt, endedAt: now }: PacedEnd): void {
    this.#successes += 1;
    // What was not used up while it ran cannot be too little.
    if (startedAt > this.#fullAt) return;
    const isFirstRise = this.#cutAt === 0;
    // What is in use makes a round, not what is kept free; at the end of a burst that is less than it was.
    const round = Math.max(this.#inUse, this.#limit / 2);
    const risen = this.#limit + (isFirstRise ? 1 : 1 / round);
    const most = now < this.#ceilingUntil ? this.#ceiling : this.#most;
    this.#limit = Math.max(this.#limit, Math.min(risen, most));
  }

  #turnWindow(now: number): void {
    if (now < this.#windowEndsAt) return;
    this.#peakBefore = now < this.#windowEndsAt + peakWindowMs ? this.#peakNow : this.interactive;
    this.#peakNow = this.interactive;
    this.#windowEndsAt = now + peakWindowMs;
  }
}

/** `most`: what one worker can have open to a provider at all, its connections. */
export function createPaces(most: (provider: string) => number): Paces {
  const providers = new Map<string, Map<string, Pace>>();
  function add({ provider, model }: Target): Pace {
    let models = providers.get(provider);
    if (!models) providers.set(provider, (models = new Map()));
    const pace = createPace(most(provider));
    models.set(model, pace);
    return pace;
  }
  return {
    of: (target) => providers.get(target.provider)?.get(target.model) ?? add(target),
    *all() {
      for (const [provider, models] of providers)
        for (const [model, pace] of models) yield [{ provider, model }, pace] as const;
    },
  };
}
