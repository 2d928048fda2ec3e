import type { FastifyRequest, RouteHandlerMethod } from "fastify";
import { nanosPerUsd } from "#shared/messages/cost.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import { budgetPeriod, nextBudgetPeriod } from "#shared/store/budget-store.ts";
import type { StoredUsage } from "#shared/store/usage-store.ts";
import { dayOf, noCounters, usageCounters, type UsageCounters } from "#shared/store/usage-tally.ts";
import { writeJson } from "../answer.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { Caller } from "../plugins/keyring.ts";
import { sendError } from "../plugins/errors.ts";

export type UsageRouteDeps = Pick<GatewayDeps, "usage" | "budgets" | "usageKeepMs">;

const groupings = ["key", "model", "provider", "day"] as const;
type Grouping = (typeof groupings)[number];

interface UsageQuery {
  readonly groupBy: readonly Grouping[];
  /** Oldest first; never empty. */
  readonly days: readonly string[];
}

const dayMs = 86_400_000;
const usualDays = 30;

/**
 * `GET /v1/usage?group_by=key,model,provider,day&from=…&to=…`: what the asking key used, or every key if it is an
 * administrator's; by the day (UTC), both days counted in.
 */
export function usageRoute(deps: UsageRouteDeps): RouteHandlerMethod {
  return (request, reply) => {
    reply.hijack();
    answerUsage(request, deps).then(
      (value) => writeJson(reply.raw, request.id, value),
      (reason: unknown) => sendError(request, reply, toGatewayError(reason)),
    );
  };
}

async function answerUsage(request: FastifyRequest, deps: UsageRouteDeps): Promise<object> {
  const { caller } = request;
  const query = readQuery(request, deps.usageKeepMs);
  const asked = caller.isAdmin ? "all" : [caller.keyId];
  try {
    const groups = new Map<string, Group>();
    for (const day of query.days) for (const row of await deps.usage.read(day, asked)) addRow(row, query, groups);
    return {
      type: "usage",
      from: query.days[0],
      to: query.days.at(-1),
      group_by: query.groupBy,
      data: [...groups.values()].map(describeGroup),
      total: describeCounters(total(groups.values())),
      budget: await describeBudget(caller, deps),
    };
  } catch (cause) {
    throw new GatewayError("overloaded", "Usage cannot be read at the moment.", { retryAfterS: 1, cause });
  }
}

function readQuery(request: FastifyRequest, keepMs: number): UsageQuery {
  const query = request.query as Readonly<Record<string, string | readonly string[] | undefined>>;
  const now = Date.now();
  const to = readDay("to", query["to"]) ?? now;
  const from = readDay("from", query["from"]) ?? to - (usualDays - 1) * dayMs;
  const days = [];
  const oldest = Math.max(from, now - keepMs - dayMs);
  for (let at = oldest; dayOf(at) <= dayOf(to); at += dayMs) days.push(dayOf(at));
  if (from > to || days.length === 0) throw fault("from", "should be a day up to `to` of which usage is kept");
  return { groupBy: readGroupings(query["group_by"]), days: days.slice(0, Math.ceil(keepMs / dayMs) + 1) };
}

function readDay(name: string, given: unknown): number | undefined {
  if (given === undefined || given === "") return undefined;
  const at = typeof given === "string" && /^\d{4}-\d\d-\d\d$/.test(given) ? Date.parse(`${given}T00:00:00Z`) : NaN;
  if (Number.isNaN(at) || dayOf(at) !== given) throw fault(name, "should be a day such as 2026-11-22");
  return at;
}

/** A list with commas, or the parameter several times. */
function readGroupings(given: string | readonly string[] | undefined): Grouping[] {
  if (given === undefined || given === "") return ["day"];
  const words = (typeof given === "string" ? [given] : given).flatMap((part) => part.split(","));
  const wanted = words.map((word) => groupings.find((known) => known === word.trim()));
  if (wanted.includes(undefined)) throw fault("group_by", `should be of ${groupings.join(", ")}`);
  return groupings.filter((known) => wanted.includes(known));
}

function fault(name: string, message: string): GatewayError {
  return new GatewayError("invalid_request", `${name}: Input ${message}`);
}

interface Group {
  readonly names: Readonly<Partial<Record<Grouping, string | null>>>;
  readonly counters: UsageCounters;
}

function addRow(row: StoredUsage, { groupBy }: UsageQuery, groups: Map<string, Group>): void {
  const values = {
    key: row.keyId,
    model: row.model,
    provider: row.provider === "" ? null : row.provider,
    day: row.day,
  };
  const names = Object.fromEntries(groupBy.map((grouping) => [grouping, values[grouping]]));
  const id = JSON.stringify(names);
  let group = groups.get(id);
  if (group === undefined) groups.set(id, (group = { names, counters: noCounters() }));
  addCounters(group.counters, row.counters);
}

function addCounters(into: UsageCounters, counters: UsageCounters): void {
  for (const name of usageCounters) into[name] += counters[name];
}

function total(groups: Iterable<Group>): UsageCounters {
  const sum = noCounters();
  for (const { counters } of groups) addCounters(sum, counters);
  return sum;
}

function describeGroup({ names, counters }: Group): object {
  return { ...names, ...describeCounters(counters) };
}

/** Tokens in the words of a Message's usage. The cost is of the calls whose price is known. */
function describeCounters(counters: UsageCounters): object {
  return {
    calls: counters.calls,
    failed_calls: counters.failed,
    input_tokens: counters.input,
    output_tokens: counters.output,
    cache_creation_input_tokens: counters.write5m + counters.write1h,
    cache_creation: {
      ephemeral_5m_input_tokens: counters.write5m,
      ephemeral_1h_input_tokens: counters.write1h,
    },
    cache_read_input_tokens: counters.read,
    server_tool_use: { web_search_requests: counters.searches },
    cost_usd: counters.cost / nanosPerUsd,
    calls_of_unknown_cost: counters.unpriced,
  };
}

async function describeBudget({ keyId, budget }: Caller, { budgets }: UsageRouteDeps): Promise<object | null> {
  if (budget === undefined) return null;
  const now = Date.now();
  const { spent, held } = await budgets.read(keyId, budgetPeriod(budget.per, now));
  return {
    usd: budget.usd,
    per: budget.per,
    spent_usd: spent / nanosPerUsd,
    held_usd: held / nanosPerUsd,
    next_at: new Date(nextBudgetPeriod(budget.per, now)).toISOString(),
  };
}
