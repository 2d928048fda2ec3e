import { readBody } from "#shared/messages/body.ts";
import type { SpliceRanges } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import { adaptBody, mayHoldForeignThinking } from "../adapt/adapt-body.ts";
import { findLack, readUses } from "../adapt/wire-features.ts";
import { noteOnce, type CallRun } from "./call-run.ts";
import type { Provider } from "./provider.ts";

/** A body with the places of its members. */
export interface SplicedBody {
  readonly body: Buffer;
  readonly splices: SpliceRanges;
}

/** Wires whose encoders read the whole body adapt it by themselves. */
const translated: ReadonlySet<string> = new Set(["openai", "gemini"]);

/** They read the whole body, and adapt or refuse by themselves; Anthropic's own wire has everything. */
const complete: ReadonlySet<string> = new Set([...translated, "anthropic"]);

/**
 * The call's body as this target takes it; undefined when that is the caller's own, as it always is where the model
 * that was asked for is served and nothing in the conversation came from another family.
 * @throws GatewayError `invalid_request` that names the member, for what this wire lacks and nothing can stand in for.
 */
export function adaptedBody(
  run: CallRun,
  { target, provider }: { readonly target: PlannedTarget; readonly provider: Provider },
  { catalogue }: { readonly catalogue: Catalogue },
): SplicedBody | undefined {
  const { head, body } = run;
  if (translated.has(provider.wire)) return undefined;
  const isStandIn = target.catalogueModel !== head.model;
  if (!complete.has(provider.wire)) refuseLack(run, { wire: provider.wire, isStandIn });
  if (!isStandIn && !(run.mayHoldForeign ??= mayHoldForeignThinking(body))) return undefined;
  const model = catalogue.find(target.catalogueModel);
  const standIn = isStandIn ? model : undefined;
  const isClaude = model?.claude === true;
  const adapted = adaptBody(body, { operation: head.operation, wire: provider.wire, standIn, isClaude });
  if (!adapted) return undefined;
  for (const note of adapted.notes) noteOnce(run, note);
  return { body: adapted.body, splices: readBody(adapted.body, head.operation).splices };
}

/** Tools that a stand-in lacks are left out of its body; nothing is left out where the model itself is served elsewhere. */
function refuseLack(run: CallRun, { wire, isStandIn }: { readonly wire: string; readonly isStandIn: boolean }): void {
  const uses = (run.uses ??= readUses(run.body));
  const lack = findLack(isStandIn ? uses.filter(({ kind }) => kind === "url" || kind === "file") : uses, wire);
  if (lack) throw new GatewayError("invalid_request", `${lack.path}: Not available where this model is served`);
}
