import type { CallBodyFacts } from "#shared/messages/body.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { CatalogueModel } from "#shared/routing/catalogue.ts";
import { matchesModel } from "#shared/routing/globs.ts";
import type { Caller } from "../plugins/keyring.ts";
import { guessModel } from "./guess-model.ts";
import type { ModelRules } from "./model-rules.ts";

type NamedModels = Pick<CallBodyFacts, "model" | "otherModels" | "wishes">;

const longestName = 200;
const modelList = " (GET /v1/models lists what this key may use)";

/** The model a call asks for. Throws when it, or any other model the body names, is not for this caller here. */
export function checkModels(facts: NamedModels, rules: ModelRules): CatalogueModel {
  for (const name of facts.wishes.models ?? []) findModel(name, rules);
  for (const name of facts.otherModels) checkOtherModel(name, rules);
  return findModel(facts.model, rules);
}

/** A model by any of its names, or the error that says why not. */
export function findModel(name: string, rules: ModelRules): CatalogueModel {
  const { catalogue, caller, claudeOnly } = rules;
  const model = catalogue.find(name);
  if (model === undefined) {
    const wayOut = guessModel(name, rules) || modelList;
    if (claudeOnly) throw new GatewayError("invalid_request", `unknown model ${quote(name)}${wayOut}`);
    throw new GatewayError("not_found", `model: ${shorten(name)}${wayOut}`);
  }
  if (claudeOnly && !model.claude)
    throw new GatewayError("invalid_request", `model ${quote(name)} is not available on this endpoint`);
  if (!mayUse(caller, model.name)) throw forbidden(name);
  return model;
}

export function mayUse(caller: Caller, model: string): boolean {
  return caller.models === undefined || matchesModel(caller.models, model);
}

/** A fallback or an advisor: the provider knows more names than the catalogue does, a limited key does not. */
function checkOtherModel(name: string, rules: ModelRules): void {
  if (rules.catalogue.find(name) !== undefined) findModel(name, rules);
  else if (!mayUse(rules.caller, name)) throw forbidden(name);
}

function forbidden(model: string): GatewayError {
  return new GatewayError("forbidden", `This key may not use the model ${quote(model)}.`);
}

/** A name is the caller's and as long as a body may be. */
function shorten(name: string): string {
  return name.length <= longestName ? name : `${name.slice(0, longestName)}…`;
}

function quote(name: string): string {
  return JSON.stringify(shorten(name));
}
