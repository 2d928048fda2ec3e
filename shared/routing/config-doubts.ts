import { formatPath } from "#shared/config/config-error.ts";
import { lacksApiKey } from "#shared/config/lacks-api-key.ts";
import { hint, nearest } from "#shared/config/nearest.ts";
import { vendorUrl } from "#shared/config/provider-urls.ts";
import type { BudgetConfig, ModelConfig, SluiceConfig } from "#shared/config/schema.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { readBuiltinModels } from "./builtin-models.ts";
import { createCatalogue, type Catalogue, type CatalogueModel } from "./catalogue.ts";
import { matchesModel } from "./globs.ts";
import { createPriceBook } from "./price-book.ts";

/** What is allowed in a configuration and hardly meant; the process starts all the same. */
export interface ConfigDoubt {
  /** As in the file: `keys[0].models`. */
  readonly member: string;
  readonly why: string;
}

/** One line at `warn` for each. */
export function logDoubts(logger: Logger, doubts: readonly ConfigDoubt[]): void {
  for (const { member, why } of doubts) logger.warn({ member, why }, "doubtful config");
}

/** Of a configuration with the providers' secrets. */
export function providerDoubts({ providers }: Pick<SluiceConfig, "providers">): ConfigDoubt[] {
  return Object.entries(providers)
    .filter(([, provider]) => provider.baseUrl === vendorUrl(provider) && lacksApiKey(provider))
    .map(([name]) => ({
      member: formatPath(["providers", name, "api_key"]),
      why: "is missing: the vendor will refuse every call",
    }));
}

/** Models that only pass on their name, and whose name is a built-in one misspelt. */
export function modelDoubts({ models }: Pick<SluiceConfig, "models">): ConfigDoubt[] {
  const builtins = [...readBuiltinModels().keys()];
  const families = new Set(builtins.map(lettersOf));
  return Object.entries(models)
    .filter(([name, model]) => !families.has(lettersOf(name)) && saysNothing(name, model))
    .filter(([name]) => nearest(lettersOf(name), families) !== undefined)
    .map(([name]) => ({
      member: formatPath(["models", name]),
      why: `is not in the catalogue${hint(name, builtins)}`,
    }));
}

/** A name that differs in digits only is a version that the catalogue does not know yet. */
function lettersOf(name: string): string {
  return name.replaceAll(/[^a-z]+/gi, " ").trim();
}

function saysNothing(name: string, model: ModelConfig): boolean {
  const isBare = Object.keys(model).every((member) => ["aliases", "routes", "claude"].includes(member));
  return isBare && model.routes.every((route) => route.model === name);
}

/** Callers who can do nothing. Of a configuration with the callers' keys. */
export function callerDoubts(config: Pick<SluiceConfig, "keys" | "oidc" | "models" | "providers">): ConfigDoubt[] {
  const catalogue = createCatalogue(config);
  const prices = createPriceBook(catalogue, config.providers);
  const hasPrice = ({ name }: CatalogueModel): boolean => prices.find(name, undefined, Date.now()) !== undefined;
  const callers: [string, number, Caller][] = [
    ...config.keys.map((key, index): [string, number, Caller] => ["keys", index, key]),
    ...config.oidc.map((issuer, index): [string, number, Caller] => ["oidc", index, issuer]),
  ];
  return callers.flatMap(([list, index, { models, budget }]): ConfigDoubt[] => {
    const usable = catalogue.list().filter(({ name }) => matchesModel(models, name));
    const [first] = usable;
    if (first === undefined) return [{ member: formatPath([list, index, "models"]), why: noModel(models, catalogue) }];
    if (budget === undefined || usable.some(hasPrice)) return [];
    const why = `no model that this caller may use has a known price, so every call is refused: set ${formatPath(["models", first.name, "price"])}`;
    return [{ member: formatPath([list, index, "budget"]), why }];
  });
}

interface Caller {
  readonly models?: readonly string[];
  readonly budget?: BudgetConfig;
}

function noModel(globs: readonly string[] = [], catalogue: Catalogue): string {
  const names = catalogue.list().map(({ name }) => name);
  const why = "match no model that is served: this caller may use none";
  for (const glob of globs) {
    const model = catalogue.find(glob);
    if (model) return `${why} (\`${glob}\` is an alias of \`${model.name}\`)`;
    if (nearest(glob, names) !== undefined) return why + hint(glob, names);
  }
  return why;
}
