import type { CallHead, RoutingWishes } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { Catalogue, CatalogueModel, Target } from "./catalogue.ts";

export interface PlanInput {
  readonly catalogue: Catalogue;
  readonly head: CallHead;
  /** The target that holds the call's thread or container. */
  readonly bound?: Target | undefined;
  /** The target that served the conversation last. */
  readonly affinity?: Target | undefined;
  /** Whether message threads can be kept at a provider. */
  readonly canHoldThreads: (provider: string) => boolean;
}

export interface PlannedTarget extends Target {
  /** The name in the catalogue of the model that the target serves. */
  readonly catalogueModel: string;
}

export interface Plan {
  /** In the order in which they are tried; at least one. */
  readonly targets: readonly PlannedTarget[];
  /** Remarks for the trace. */
  readonly notes: readonly string[];
}

/**
 * Which targets a call may use, in which order: those of its model, then those of the models it names as fallbacks,
 * each as the caller's `order` and `only` wish, the target that has the conversation's cache first where the caller is
 * indifferent. State that lives at one target (a thread, a container) goes before all of that. Pure.
 *
 * Throws `not_found` for a model that is not in the catalogue and for a thread that cannot be gone on with, and
 * `invalid_request` when `only` leaves no target or no target can hold the thread to be made.
 */
export function makePlan(input: PlanInput): Plan {
  const notes: string[] = [];
  const targets = wishedTargets(input, notes);
  const thread = input.head.thread;
  if (thread?.type === "continue") return { targets: [continuedTarget(targets, input)], notes };
  const placed = withContainer(targets, input, notes);
  return { targets: thread ? withThreads(placed, input, notes) : placed, notes };
}

function wishedTargets({ catalogue, head, affinity }: PlanInput, notes: string[]): PlannedTarget[] {
  const targets: PlannedTarget[] = [];
  for (const model of modelChain(catalogue, head, notes)) {
    for (const target of orderTargets(model, head.wishes, affinity)) {
      // Two models may share a target; the second time it would only be asked again.
      if (!targets.some((known) => sameTarget(known, target))) targets.push(target);
    }
  }
  const only = head.wishes.only;
  if (!only) return targets;
  const allowed = targets.filter(({ provider }) => only.includes(provider));
  if (allowed.length > 0) return allowed;
  const message = `providerOptions.gateway.only: none of these providers serves ${head.askedModel}`;
  throw new GatewayError("invalid_request", message);
}

function modelChain(catalogue: Catalogue, head: CallHead, notes: string[]): CatalogueModel[] {
  const first = catalogue.find(head.model);
  if (!first) throw new GatewayError("not_found", `model: ${head.askedModel}`);
  const chain = new Set([first]);
  for (const name of head.wishes.models ?? []) {
    const model = catalogue.find(name);
    if (model) chain.add(model);
    else notes.push("plan: a fallback model is unknown");
  }
  return [...chain];
}

/** Named providers first, in their sequence, then the rest; among equals the one with the cache, then the route's order. */
function orderTargets(model: CatalogueModel, wishes: RoutingWishes, affinity: Target | undefined): PlannedTarget[] {
  const order = wishes.order ?? [];
  const rank = ({ provider }: Target): number => {
    const place = order.indexOf(provider);
    return place === -1 ? order.length : place;
  };
  const coldness = (target: Target): number => (affinity && sameTarget(target, affinity) ? 0 : 1);
  return model.targets
    .map((target) => ({ ...target, catalogueModel: model.name }))
    .toSorted((a, b) => rank(a) - rank(b) || coldness(a) - coldness(b));
}

/** A thread goes on where it is or not at all; told so, clients begin again with the whole conversation. */
function continuedTarget(targets: readonly PlannedTarget[], { bound, canHoldThreads }: PlanInput): PlannedTarget {
  const target = bound && targets.find((candidate) => sameTarget(candidate, bound));
  if (target && canHoldThreads(target.provider)) return target;
  const details = { error_code: "thread_not_found" };
  throw new GatewayError("not_found", "The thread to continue was not found.", { details });
}

function withThreads(targets: PlannedTarget[], input: PlanInput, notes: string[]): PlannedTarget[] {
  const able = targets.filter(({ provider }) => input.canHoldThreads(provider));
  if (able.length === 0) {
    const details = { error_code: "thread_unsupported_request", unsupported: ["provider"] };
    throw new GatewayError("invalid_request", "No provider of this model can hold message threads.", { details });
  }
  const unable = targets.filter((target) => !able.includes(target)).map(({ provider }) => provider);
  for (const provider of new Set(unable)) notes.push(`plan: ${provider} cannot hold threads`);
  return able;
}

/** A container is at one target; nobody else could go on with it. An unknown one is the provider's to judge. */
function withContainer(targets: PlannedTarget[], { head, bound }: PlanInput, notes: string[]): PlannedTarget[] {
  if (head.container === undefined) return targets;
  const target = bound && targets.find((candidate) => sameTarget(candidate, bound));
  if (target) return [target];
  notes.push(bound ? "plan: the container's target is not in the plan" : "plan: the container is unknown");
  return targets;
}

function sameTarget(a: Target, b: Target): boolean {
  return a.provider === b.provider && a.model === b.model;
}
