import { hint } from "#shared/config/nearest.ts";
import { matchesModel } from "#shared/routing/globs.ts";
import type { ModelRules } from "./model-rules.ts";

/** No model's name is longer, and no guess is worth more of a processor. */
const longestName = 64;
/** Of a batch: its items may name as many unknown models as there are items. */
const mostGuesses = 16;

/**
 * ` (did you mean …)` when the caller may use a model here that has a name near to the asked one, else nothing. Names of
 * other models are not told. It takes a tenth of a millisecond and more: for names that were not found, and no others.
 */
export function guessModel(name: string, { catalogue, caller, claudeOnly, guesses }: ModelRules): string {
  if (name.length > longestName) return "";
  const known = guesses?.get(name);
  if (known !== undefined) return known;
  if (guesses && guesses.size >= mostGuesses) return "";
  const usable = catalogue
    .list()
    .filter((model) => (model.claude || !claudeOnly) && matchesModel(caller.models, model.name));
  // Every name before any alias: of names that are equally near the first is told.
  const guess = hint(name, [...usable.map((model) => model.name), ...usable.flatMap(({ aliases }) => aliases)]);
  guesses?.set(name, guess);
  return guess;
}
