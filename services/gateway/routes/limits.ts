import type { RouteHandlerMethod } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { Catalogue, CatalogueModel, Target } from "#shared/routing/catalogue.ts";
import type { HeadersOfTarget } from "#shared/store/fleet-limits.ts";
import type { TargetState } from "#shared/store/target-board.ts";
import type { TargetCause } from "#shared/store/target-cause.ts";
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
    ...describeState(state, at),
    unavailable_until: after(Math.max(state.outUntil, state.breakerUntil), at),
    limits: headers ? describeHeaders(headers) : {},
    limits_at: headers ? instant(headers.at) : null,
    concurrency: limits.use(provider, model) ?? null,
  };
}

/** Whether the target is asked now; if not, until when and why. The weightiest obstacle goes first, as at the workers. */
function describeState(state: TargetState, at: number): object {
  if (state.outUntil > at) return leftOut("unavailable", state.outUntil, state.outCause);
  if (state.breakerUntil > at) return leftOut("failing", state.breakerUntil, state.breakerCause);
  if (state.blockedUntil > at) return leftOut("blocked", state.blockedUntil, state.blockedCause);
  return { state: "ok", reason: null, blocked_until: null, last_error: null };
}

/** The provider's status and type of error, which the traces of the calls that met them say too; no word of its own. */
function leftOut(state: "unavailable" | "failing" | "blocked", until: number, cause: TargetCause | undefined): object {
  return {
    state,
    reason: cause?.reason ?? null,
    blocked_until: instant(until),
    last_error: cause ? { status: cause.status ?? null, error: cause.error ?? null } : null,
  };
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
