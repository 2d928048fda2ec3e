export type OutReason = "credential" | "exhausted";

/** What is known of a target. Times are milliseconds since the epoch, 0 for never. A live view: copy what you keep. */
export interface TargetState {
  readonly blockedUntil: number;
  /** The provider's or the target's own, whichever is later. */
  readonly outUntil: number;
  readonly outReason: OutReason | undefined;
  /** After it the breaker is half open while `breakerOpenings` is above 0. */
  readonly breakerUntil: number;
  /** How often the breaker opened in a row. */
  readonly breakerOpenings: number;
  /** Somebody's probe is on its way. */
  readonly probing: boolean;
}

/** One fact about a target, as it is shared; `until` 0 takes it back (breaker and probe only). */
export type TargetFact =
  | { readonly kind: "block"; readonly provider: string; readonly model: string; readonly until: number }
  /** Without a model it holds for the whole provider. */
  | {
      readonly kind: "out";
      readonly provider: string;
      readonly model: string | undefined;
      readonly until: number;
      readonly reason: OutReason;
    }
  | {
      readonly kind: "breaker";
      readonly provider: string;
      readonly model: string;
      readonly until: number;
      readonly openings: number;
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
  reason: OutReason | undefined;
}

interface Entry extends TargetState {
  blockedUntil: number;
  breakerUntil: number;
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
  outUntil: 0,
  outReason: undefined,
  breakerUntil: 0,
  breakerOpenings: 0,
  probing: false,
});

export function createTargetTable(now: () => number = Date.now): TargetTable {
  const providers = new Map<string, ProviderEntry>();

  function providerEntry(name: string): ProviderEntry {
    const known = providers.get(name);
    if (known) return known;
    const out: OutMark = { until: 0, reason: undefined };
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
      mark.reason = fact.reason;
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
    breakerUntil: 0,
    breakerOpenings: 0,
    probeUntil: 0,
    own: { until: 0, reason: undefined },
    get outUntil() {
      return Math.max(this.own.until, ofProvider.until);
    },
    get outReason() {
      return this.own.until >= ofProvider.until ? this.own.reason : ofProvider.reason;
    },
    get probing() {
      return this.probeUntil > now();
    },
  };
}

function applyToTarget(entry: Entry, fact: Exclude<TargetFact, { kind: "out" }>): void {
  if (fact.kind === "block") entry.blockedUntil = Math.max(entry.blockedUntil, fact.until);
  else if (fact.kind === "probe") entry.probeUntil = fact.until;
  else if (fact.until === 0) {
    entry.breakerUntil = 0;
    entry.breakerOpenings = 0;
  } else {
    entry.breakerUntil = Math.max(entry.breakerUntil, fact.until);
    entry.breakerOpenings = Math.max(entry.breakerOpenings, fact.openings);
  }
}

function providerFacts(provider: string, entry: ProviderEntry, at: number): TargetFact[] {
  const facts: TargetFact[] = [];
  addOut(facts, { provider, model: undefined, mark: entry.out, at });
  for (const [model, target] of entry.models) {
    addOut(facts, { provider, model, mark: target.own, at });
    if (target.blockedUntil > at) facts.push({ kind: "block", provider, model, until: target.blockedUntil });
    if (target.breakerOpenings > 0 && target.breakerUntil + openingsKeptMs > at)
      facts.push({
        kind: "breaker",
        provider,
        model,
        until: target.breakerUntil,
        openings: target.breakerOpenings,
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
  if (mark.until > at && mark.reason)
    facts.push({ kind: "out", provider, model, until: mark.until, reason: mark.reason });
}

function isOver(entry: Entry, at: number): boolean {
  const over = Math.max(entry.blockedUntil, entry.own.until, entry.probeUntil) < at;
  return over && entry.breakerUntil + openingsKeptMs < at;
}
