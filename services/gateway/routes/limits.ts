import type { RouteHandlerMethod } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { Catalogue, CatalogueModel, Target } from "#shared/routing/catalogue.ts";
import type { HeadersOfTarget } from "#shared/store/fleet-limits.ts";
import type { TargetState } from "#shared/store/target-board.ts";
import { writeJson } from "../answer.ts";
import { mayUse } from "../call/check-models.ts";
import { describeLanes, type FleetSnapshot, type FleetView } from "../fleet-view.ts";
import type { Caller } from "../plugins/keyring.ts";
import { sendError } from "../plugins/errors.ts";

export interface LimitsRouteDeps {
  readonly catalogue: Catalogue;
  readonly fleet: FleetView;
}

/** `GET /v1/limits`: what the fleet knows of the targets of the models this key may use, and how full the lanes are. */
export function limitsRoute({ catalogue, fleet }: LimitsRouteDeps, claudeOnly: boolean): RouteHandlerMethod {
  return (request, reply) => {
    reply.hijack();
    const models = catalogue.list().filter((model) => mayServe(model, request.caller, claudeOnly));
    fleet
      .read()
      .catch((cause: unknown) => {
        throw new GatewayError("overloaded", "Limits cannot be read at the moment.", { retryAfterS: 1, cause });
      })
      .then(
        (snapshot) => writeJson(reply.raw, request.id, describeLimits(models, snapshot)),
        (reason: unknown) => sendError(request, reply, toGatewayError(reason)),
      );
  };
}

function mayServe(model: CatalogueModel, caller: Caller, claudeOnly: boolean): boolean {
  return (model.claude || !claudeOnly) && mayUse(caller, model.name);
}

function describeLimits(models: readonly CatalogueModel[], snapshot: FleetSnapshot): object {
  return {
    type: "limits",
    at: instant(snapshot.at),
    targets: targetsOf(models).map(({ target, serves }) => ({
      provider: target.provider,
      model: target.model,
      serves,
      ...describeTarget(target, snapshot),
    })),
    lanes: describeLanes(snapshot),
  };
}

interface ServingTarget {
  readonly target: Target;
  /** Catalogue names. */
  readonly serves: string[];
}

/** Each target once, with the models that it serves. */
function targetsOf(models: readonly CatalogueModel[]): ServingTarget[] {
  const found = new Map<string, ServingTarget>();
  for (const { name, targets } of models)
    for (const target of targets) {
      const key = `${target.provider}\n${target.model}`;
      const known = found.get(key);
      if (known) known.serves.push(name);
      else found.set(key, { target, serves: [name] });
    }
  return [...found.values()];
}

function describeTarget({ provider, model }: Target, { at, limits }: FleetSnapshot): object {
  const state = limits.state(provider, model);
  const headers = limits.headers(provider, model);
  return {
    state: stateWord(state, at),
    blocked_until: after(state.blockedUntil, at),
    unavailable_until: after(Math.max(state.outUntil, state.breakerUntil), at),
    limits: headers ? describeHeaders(headers) : {},
    limits_at: headers ? instant(headers.at) : null,
    concurrency: limits.use(provider, model) ?? null,
  };
}

/** Why an account cannot be used is its operator's business. */
function stateWord(state: TargetState, at: number): "ok" | "blocked" | "failing" | "unavailable" {
  if (state.outUntil > at) return "unavailable";
  if (state.breakerUntil > at) return "failing";
  return state.blockedUntil > at ? "blocked" : "ok";
}

function describeHeaders({ limits }: HeadersOfTarget): object {
  const entries = Object.entries(limits).map(([name, { limit, remaining, resetAt }]) => [
    name.replaceAll("-", "_"),
    { limit: limit ?? null, remaining: remaining ?? null, reset: resetAt === undefined ? null : instant(resetAt) },
  ]);
  return Object.fromEntries(entries) as object;
}

function after(until: number, at: number): string | null {
  return until > at ? instant(until) : null;
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
