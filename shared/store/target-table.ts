import type { TargetCause } from "./target-cause.ts";

/** What is known of a target. Times are milliseconds since the epoch, 0 for never. A live view: copy what you keep. */
export interface TargetState {
  readonly blockedUntil: number;
  /** Causes: undefined where there is none, or a process that knows of none has noted it. */
  readonly blockedCause: TargetCause | undefined;
  /** The provider's or the target's own, whichever is later. */
  readonly outUntil: number;
  readonly outCause: TargetCause | undefined;
  /** After it the breaker is half open while `breakerOpenings` is above 0. */
  readonly breakerUntil: number;
  readonly breakerCause: TargetCause | undefined;
  /** How often the breaker opened in a row. */
  readonly breakerOpenings: number;
  /** Somebody's probe is on its way. */
  readonly probing: boolean;
}

/** One fact about a target, as it is shared; `until` 0 takes it back (breaker and probe only). */
export type TargetFact =
  | {
      readonly kind: "block";
      readonly provider: string;
      readonly model: string;
      readonly until: number;
      readonly cause: TargetCause;
    }
  /** Without a model it holds for the whole provider. */
  | {
      readonly kind: "out";
      readonly provider: string;
      readonly model: string | undefined;
      readonly until: number;
      readonly cause: TargetCause;
    }
  | {
      readonly kind: "breaker";
      readonly provider: string;
      readonly model: string;
      readonly until: number;
      readonly openings: number;
      readonly cause?: TargetCause;
    }
  | { readonly kind: "probe"; readonly provider: string; readonly model: string; readonly until: number };

export interface TargetTable {
  /** Two lookups and no allocation. */
  state(provider: string, model: string): TargetState;
  /** Times only extend, except those that are taken back. */
  apply(fact: TargetFact): void;
  /** Everything that still holds, probes apart. */
  facts(): TargetFact[];
  /** Forgets what is long over. */
  sweep(): void;
}

/** An opening counts towards the next one's length for this long after it ended. */
export const openingsKeptMs = 10 * 60_000;

interface OutMark {
  until: number;
  cause: TargetCause | undefined;
}

interface Entry extends TargetState {
  blockedUntil: number;
  blockedCause: TargetCause | undefined;
  breakerUntil: number;
  breakerCause: TargetCause | undefined;
  breakerOpenings: number;
  probeUntil: number;
  readonly own: OutMark;
}

interface ProviderEntry {
  readonly out: OutMark;
  readonly models: Map<string, Entry>;
  /** For a model nothing is known of. */
  readonly others: Entry;
}

const free: TargetState = Object.freeze({
  blockedUntil: 0,
  blockedCause: undefined,
  outUntil: 0,
  outCause: undefined,
  breakerUntil: 0,
  breakerCause: undefined,
  breakerOpenings: 0,
  probing: false,
});

export function createTargetTable(now: () => number = Date.now): TargetTable {
  const providers = new Map<string, ProviderEntry>();

  function providerEntry(name: string): ProviderEntry {
    const known = providers.get(name);
    if (known) return known;
    const out: OutMark = { until: 0, cause: undefined };
    const entry = { out, models: new Map<string, Entry>(), others: createEntry(out, now) };
    providers.set(name, entry);
    return entry;
  }
  function targetEntry(provider: string, model: string): Entry {
    const { out, models } = providerEntry(provider);
    const known = models.get(model);
    if (known) return known;
    const entry = createEntry(out, now);
    models.set(model, entry);
    return entry;
  }
  return {
    state(provider, model) {
      const known = providers.get(provider);
      return known === undefined ? free : (known.models.get(model) ?? known.others);
    },
    apply(fact) {
      if (fact.kind !== "out") return applyToTarget(targetEntry(fact.provider, fact.model), fact);
      const { provider, model } = fact;
      const mark = model === undefined ? providerEntry(provider).out : targetEntry(provider, model).own;
      if (fact.until <= mark.until) return;
      mark.until = fact.until;
      mark.cause = fact.cause;
    },
    facts: () => [...providers].flatMap(([name, entry]) => providerFacts(name, entry, now())),
    sweep() {
      const at = now();
      for (const [name, entry] of providers) {
        for (const [model, target] of entry.models) if (isOver(target, at)) entry.models.delete(model);
        if (entry.models.size === 0 && entry.out.until < at) providers.delete(name);
      }
    },
  };
}

function createEntry(ofProvider: OutMark, now: () => number): Entry {
  return {
    blockedUntil: 0,
    blockedCause: undefined,
    breakerUntil: 0,
    breakerCause: undefined,
    breakerOpenings: 0,
    probeUntil: 0,
    own: { until: 0, cause: undefined },
    get outUntil() {
      return Math.max(this.own.until, ofProvider.until);
    },
    get outCause() {
      return this.own.until >= ofProvider.until ? this.own.cause : ofProvider.cause;
    },
    get probing() {
      return this.probeUntil > now();
    },
  };
}

function applyToTarget(entry: Entry, fact: Exclude<TargetFact, { kind: "out" }>): void {
  if (fact.kind === "block") {
    if (fact.until <= entry.blockedUntil) return;
    entry.blockedUntil = fact.until;
    entry.blockedCause = fact.cause;
  } else if (fact.kind === "probe") entry.probeUntil = fact.until;
  else applyBreaker(entry, fact);
}

function applyBreaker(entry: Entry, { until, openings, cause }: Extract<TargetFact, { kind: "breaker" }>): void {
  const isTakenBack = until === 0;
  if (isTakenBack || until > entry.breakerUntil) {
    entry.breakerUntil = until;
    entry.breakerCause = cause;
  }
  entry.breakerOpenings = isTakenBack ? 0 : Math.max(entry.breakerOpenings, openings);
}

function providerFacts(provider: string, entry: ProviderEntry, at: number): TargetFact[] {
  const facts: TargetFact[] = [];
  addOut(facts, { provider, model: undefined, mark: entry.out, at });
  for (const [model, target] of entry.models) {
    addOut(facts, { provider, model, mark: target.own, at });
    if (target.blockedUntil > at && target.blockedCause)
      facts.push({ kind: "block", provider, model, until: target.blockedUntil, cause: target.blockedCause });
    if (target.breakerOpenings > 0 && target.breakerUntil + openingsKeptMs > at)
      facts.push({
        kind: "breaker",
        provider,
        model,
        until: target.breakerUntil,
        openings: target.breakerOpenings,
        ...(target.breakerCause ? { cause: target.breakerCause } : {}),
      });
  }
  return facts;
}

interface OutOf {
  readonly provider: string;
  readonly model: string | undefined;
  readonly mark: OutMark;
  readonly at: number;
}

function addOut(facts: TargetFact[], { provider, model, mark, at }: OutOf): void {
  if (mark.until > at && mark.cause) facts.push({ kind: "out", provider, model, until: mark.until, cause: mark.cause });
}

function isOver(entry: Entry, at: number): boolean {
  const over = Math.max(entry.blockedUntil, entry.own.until, entry.probeUntil) < at;
  return over && entry.breakerUntil + openingsKeptMs < at;
}
