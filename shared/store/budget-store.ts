import type { CostEstimate } from "#shared/messages/cost.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { createStoreKeys } from "./store-keys.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";
import { dayOf } from "./usage-tally.ts";

/** Money of a budget that is held for a call. Amounts are billionths of a US dollar. Travels with jobs, as JSON. */
export interface Hold extends CostEstimate, HoldName {}

/** Whose money, and which. */
export interface HoldName {
  readonly callId: string;
  readonly keyId: string;
  /** The day or month that pays, such as `2026-11-22` or `2026-11`. */
  readonly period: string;
}

/** What takes the place of a hold when its call has ended. */
export interface Charge {
  readonly hold: HoldName;
  readonly cost: number;
}

interface BudgetState {
  readonly spent: number;
  /** For calls that run. */
  readonly held: number;
}

/**
 * What keys may spend. A call is let in while what is spent and held is less than the budget, and holds the most that it
 * may cost: so no more is overspent than the calls in flight cost beyond what was thought.
 */
export interface BudgetStore {
  /** For `holdMs` at most. Rejects while Redis is away: then nobody knows what is left. */
  reserve(hold: Hold, budget: number, holdMs: number): Promise<BudgetState & { readonly ok: boolean }>;
  /** The call goes on for longer than was thought. Rejects while Redis is away. */
  extend(hold: Hold, holdMs: number): Promise<void>;
  /** Once, however often it is said. Never rejects: what Redis is away for is done when it is back. */
  settle(hold: HoldName, cost: number): void;
  /** Gives back what these hold, and has done so when it resolves. Rejects while Redis is away. */
  release(holds: readonly HoldName[]): Promise<void>;
  read(keyId: string, period: string): Promise<BudgetState>;
  /** Settles what waits, if Redis is there. */
  close(): Promise<void>;
}

const retryMs = 1000;
const mostPerScript = 64;
/** Calls that wait to be settled while Redis is away; of any more the holds end by themselves. */
const mostOwed = 10_000;
/** Longer than any period. */
export const budgetTtlMs = 40 * 86_400_000;

export function createBudgetStore(options: {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly logger: Logger;
}): BudgetStore {
  const { redis, logger } = options;
  const { client } = redis;
  const keys = createStoreKeys(options.prefix);
  const reserveBudget = loadScript(client, new URL("reserve-budget.lua", import.meta.url));
  const settleBudgets = loadScript(client, new URL("settle-budgets.lua", import.meta.url));
  const namesOf = ({ keyId, period }: HoldName): [string, string] => [
    keys.budget(keyId, period),
    keys.budgetHolds(keyId, period),
  ];
  let owed: Charge[] = [];
  let timer: NodeJS.Timeout | undefined;
  const settling = createTurnBatch<Charge>((batch) => void send(batch), mostPerScript);

  async function settleNow(batch: readonly Charge[]): Promise<void> {
    const names = batch.flatMap(({ hold }) => namesOf(hold));
    const values = batch.flatMap(({ hold, cost }) => [hold.callId, wholeNumber(cost)]);
    await settleBudgets(names, values);
  }
  async function send(batch: readonly Charge[]): Promise<void> {
    try {
      await settleNow(batch);
    } catch {
      const room = Math.max(0, mostOwed - owed.length);
      if (batch.length > room) logger.warn({ count: batch.length - room }, "budgets not settled, redis is away");
      owed.push(...batch.slice(0, room));
      timer ??= setTimeout(() => void retry(), retryMs).unref();
    }
  }
  async function retry(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const again = owed;
    owed = [];
    for (let at = 0; at < again.length; at += mostPerScript) await send(again.slice(at, at + mostPerScript));
  }
  return {
    async reserve(hold, budget, holdMs) {
      const values = [wholeNumber(budget), hold.callId, wholeNumber(hold.amount), Math.ceil(holdMs), budgetTtlMs];
      try {
        const [ok, spent, held] = (await reserveBudget(namesOf(hold), values)) as [number, number, number];
        return { ok: ok === 1, spent, held };
      } catch (reason) {
        // It may hold all the same.
        settling.add({ hold, cost: 0 });
        throw reason;
      }
    },
    async extend(hold, holdMs) {
      await client.zadd(namesOf(hold)[1], "XX", "GT", Date.now() + Math.ceil(holdMs), hold.callId);
    },
    settle: (hold, cost) => settling.add({ hold, cost }),
    async release(holds) {
      for (let at = 0; at < holds.length; at += mostPerScript)
        await settleNow(holds.slice(at, at + mostPerScript).map((hold) => ({ hold, cost: 0 })));
    },
    async read(keyId, period) {
      const [spent, held] = await client.hmget(keys.budget(keyId, period), "spent", "held");
      return { spent: Number(spent ?? 0), held: Number(held ?? 0) };
    },
    async close() {
      // What was added in this turn leaves at its end.
      await new Promise((resolve) => setImmediate(resolve));
      await retry();
      clearTimeout(timer);
    },
  };
}

/** As Redis can count it. */
export function wholeNumber(value: number): number {
  return Math.min(Math.round(value), Number.MAX_SAFE_INTEGER);
}

/** The period of a budget that a time (milliseconds since the epoch) is in, by UTC. */
export function budgetPeriod(per: "day" | "month", at: number): string {
  return per === "day" ? dayOf(at) : dayOf(at).slice(0, 7);
}

/** When the next period begins, in milliseconds since the epoch. */
export function nextBudgetPeriod(per: "day" | "month", at: number): number {
  const date = new Date(at);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  return per === "day" ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1, 1);
}
