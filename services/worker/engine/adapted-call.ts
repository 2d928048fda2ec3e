import { readBody } from "#shared/messages/body.ts";
import type { SpliceRanges } from "#shared/messages/call.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import { adaptBody, mayHoldForeignThinking } from "../adapt/adapt-body.ts";
import { noteOnce, type CallRun } from "./call-run.ts";
import type { Provider } from "./provider.ts";

/** A body with the places of its members. */
export interface SplicedBody {
  readonly body: Buffer;
  readonly splices: SpliceRanges;
}

/** Wires whose encoders read the whole body adapt it by themselves. */
const translated: ReadonlySet<string> = new Set(["openai", "gemini"]);

/**
 * The call's body as this target takes it; undefined when that is the caller's own, as it always is where the model
 * that was asked for is served and nothing in the conversation came from another family.
 */
export function adaptedBody(
  run: CallRun,
  { target, provider }: { readonly target: PlannedTarget; readonly provider: Provider },
  { catalogue }: { readonly catalogue: Catalogue },
): SplicedBody | undefined {
  const { head, body } = run;
  if (translated.has(provider.wire)) return undefined;
  const isStandIn = target.catalogueModel !== head.model;
  if (!isStandIn && !(run.mayHoldForeign ??= mayHoldForeignThinking(body))) return undefined;
  const model = catalogue.find(target.catalogueModel);
  const standIn = isStandIn ? model : undefined;
  const isClaude = model?.claude === true;
  const adapted = adaptBody(body, { operation: head.operation, wire: provider.wire, standIn, isClaude });
  if (!adapted) return undefined;
  for (const note of adapted.notes) noteOnce(run, note);
  return { body: adapted.body, splices: readBody(adapted.body, head.operation).splices };
}
