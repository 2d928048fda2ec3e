import type { Bill } from "#shared/messages/cost.ts";

/** A call that has ended, as it is added up. */
export interface UsedCall {
  readonly keyId: string;
  /** Catalogue name. */
  readonly model: string;
  /** "" when none answered. */
  readonly provider: string;
  /** Milliseconds since the epoch; its day is counted by UTC. */
  readonly endedAt: number;
  readonly isFailed: boolean;
  /** Undefined when nothing was used, or nobody knows. */
  readonly bill: Bill | undefined;
}

/** What is added up, by the name of its field; `cost` in billionths of a dollar, of the calls whose price is known. */
export const usageCounters = [
  "calls",
  "failed",
  "unpriced",
  "input",
  "output",
  "write5m",
  "write1h",
  "read",
  "searches",
  "cost",
] as const;
export type UsageCounters = Record<(typeof usageCounters)[number], number>;

/** What one key used of one model at one provider. */
export interface UsageRow {
  readonly model: string;
  readonly provider: string;
  readonly counters: UsageCounters;
}

/** Sums that have not been written yet. */
export interface UsageTally {
  readonly rows: number;
  readonly calls: number;
  /** False: there are too many rows already, the call is not counted. */
  add(call: UsedCall): boolean;
  /** Takes out up to so many rows of one day, by key. */
  take(mostRows: number): { readonly day: string; readonly keys: ReadonlyMap<string, readonly UsageRow[]> } | undefined;
}

type Rows = Map<string, UsageRow>;

/** @param mostRows rows that are held at a time, whatever the number of calls they sum. */
export function createUsageTally(mostRows: number): UsageTally {
  const days = new Map<string, Map<string, Rows>>();
  let size = 0;
  let calls = 0;
  return {
    get rows() {
      return size;
    },
    get calls() {
      return calls;
    },
    add(call) {
      const { keyId, model, provider } = call;
      const day = dayOf(call.endedAt);
      const name = `${model}\n${provider}`;
      let row = days.get(day)?.get(keyId)?.get(name);
      if (row === undefined) {
        if (size >= mostRows) return false;
        size += 1;
        row = { model, provider, counters: noCounters() };
        const keys = getOrMake(days, day, () => new Map<string, Rows>());
        getOrMake(keys, keyId, () => new Map<string, UsageRow>()).set(name, row);
      }
      calls += 1;
      count(row.counters, call);
      return true;
    },
    take(most) {
      const day = days.keys().next().value;
      const waiting = day === undefined ? undefined : days.get(day);
      if (day === undefined || waiting === undefined) return undefined;
      const keys = new Map<string, readonly UsageRow[]>();
      let taken = 0;
      for (const [keyId, rows] of waiting) {
        if (taken > 0 && taken + rows.size > most) break;
        taken += rows.size;
        for (const { counters } of rows.values()) calls -= counters.calls;
        keys.set(keyId, [...rows.values()]);
        waiting.delete(keyId);
      }
      size -= taken;
      if (waiting.size === 0) days.delete(day);
      return { day, keys };
    },
  };
}

export function noCounters(): UsageCounters {
  return {
    calls: 0,
    failed: 0,
    unpriced: 0,
    input: 0,
    output: 0,
    write5m: 0,
    write1h: 0,
    read: 0,
    searches: 0,
    cost: 0,
  };
}

function count(into: UsageCounters, { isFailed, bill }: UsedCall): void {
  into.calls += 1;
  if (isFailed) into.failed += 1;
  if (bill === undefined) return;
  const { tokens, cost } = bill;
  into.input += tokens.input;
  into.output += tokens.output;
  into.write5m += tokens.cacheWrite5m;
  into.write1h += tokens.cacheWrite1h;
  into.read += tokens.cacheRead;
  into.searches += tokens.webSearches;
  if ("unknown" in cost) into.unpriced += 1;
  else into.cost += cost.total;
}

const dayMs = 86_400_000;
let today = { number: -1, name: "" };

/** The day by UTC, such as `2026-11-22`. */
export function dayOf(ms: number): string {
  const number = Math.floor(ms / dayMs);
  if (number !== today.number) today = { number, name: new Date(number * dayMs).toISOString().slice(0, 10) };
  return today.name;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
