import { everyRoute } from "#shared/config/read-providers.ts";
import type { ModelConfig, RouteConfig, SluiceConfig } from "#shared/config/schema.ts";
import type { ModelInfo } from "#shared/messages/model-info.ts";
import { readBuiltinModels, type BuiltinModel, type ModelRefusal } from "./builtin-models.ts";
import { creatorForms } from "./creator-forms.ts";
import { describeCapabilities } from "./model-capabilities.ts";
import { readPrices, type DatedPrice } from "./model-prices.ts";

/** A provider and its own id of a model. */
export interface Target {
  readonly provider: string;
  readonly model: string;
}

export interface CatalogueModel {
  readonly name: string;
  /** Every other name it is found by. */
  readonly aliases: readonly string[];
  /** Served under the Claude-only prefixes. */
  readonly claude: boolean;
  /** In the order in which they are tried. */
  readonly targets: readonly Target[];
  readonly info: ModelInfo;
  /** Newest first; none: not known. */
  readonly prices: readonly DatedPrice[];
  /** Whether the operator has said the price: then it holds wherever the model is served. */
  readonly hasOwnPrice: boolean;
  /** What its provider answers 400 to; nothing is known of a model that is not built in. */
  readonly refuses: ReadonlySet<ModelRefusal>;
  /** Shorter prompts are never cached. */
  readonly minCachedTokens?: number;
}

/** The models this gateway serves. */
export interface Catalogue {
  /** By name or alias, as a caller wrote it. */
  find(asked: string): CatalogueModel | undefined;
  /** In the configuration's order, else newest first. */
  list(): readonly CatalogueModel[];
}

/**
 * The configuration's models with what is built in about them; without any, every built-in model through every
 * provider. A model that the configuration does not name is then not served: what it names is the whole list.
 */
export function createCatalogue(config: Pick<SluiceConfig, "models" | "providers">): Catalogue {
  const builtins = readBuiltinModels();
  const configured = Object.entries(config.models);
  const served: [string, ModelConfig][] =
    configured.length > 0
      ? configured
      : [...builtins.keys()].map((name) => [name, defaultModel(name, config.providers)]);
  const taken = takenNames(served);
  const models = served.map(([name, model]) => createModel(name, model, { builtin: builtins.get(name), taken }));
  const byName = new Map(models.flatMap((model) => [model.name, ...model.aliases].map((name) => [name, model])));
  return { find: (asked) => byName.get(asked), list: () => models };
}

function defaultModel(name: string, providers: SluiceConfig["providers"]): ModelConfig {
  return { aliases: [], routes: everyRoute(name, providers), claude: true };
}

/** What is said in the configuration goes before what is derived: names, then its aliases. */
function takenNames(served: readonly [string, ModelConfig][]): Set<string> {
  return new Set(served.flatMap(([name, { aliases }]) => [name, ...aliases]));
}

interface Surroundings {
  readonly builtin: BuiltinModel | undefined;
  /** Names that are given away; grows with every model. */
  readonly taken: Set<string>;
}

function createModel(name: string, config: ModelConfig, { builtin, taken }: Surroundings): CatalogueModel {
  const derived = [...(builtin?.aliases ?? []), ...(config.claude ? creatorForms(name) : [])];
  const free = derived.filter((alias) => !taken.has(alias));
  for (const alias of free) taken.add(alias);
  return Object.freeze({
    name,
    aliases: Object.freeze([...config.aliases, ...free]),
    claude: config.claude,
    targets: Object.freeze(config.routes.map(toTarget)),
    info: Object.freeze(describeModel(name, config, builtin)),
    prices: Object.freeze(pricesOf(config, builtin)),
    hasOwnPrice: config.price !== undefined,
    refuses: new Set(builtin?.refuses),
    ...(builtin?.min_cached_tokens === undefined ? {} : { minCachedTokens: builtin.min_cached_tokens }),
  });
}

function pricesOf({ price }: ModelConfig, builtin: BuiltinModel | undefined): readonly DatedPrice[] {
  return price === undefined ? readPrices(builtin?.prices) : [{ since: Number.NEGATIVE_INFINITY, price }];
}

function toTarget({ provider, model }: RouteConfig): Target {
  return Object.freeze({ provider, model });
}

type Description = Omit<ModelInfo, "id" | "type">;

const unknownModel: Omit<Description, "display_name"> = {
  created_at: "1970-01-01T00:00:00Z",
  max_input_tokens: null,
  max_tokens: null,
  line: null,
  lifecycle: "active",
  deprecated_at: null,
  retires_at: null,
  capabilities: null,
};

function describeModel(name: string, config: ModelConfig, builtin: BuiltinModel | undefined): ModelInfo {
  const base = builtin ? describeBuiltin(builtin) : { ...unknownModel, display_name: name };
  return {
    ...base,
    id: name,
    type: "model",
    display_name: config.displayName ?? base.display_name,
    created_at: config.createdAt ?? base.created_at,
    max_input_tokens: config.maxInputTokens ?? base.max_input_tokens,
    max_tokens: config.maxTokens ?? base.max_tokens,
  };
}

function describeBuiltin(builtin: BuiltinModel): Description {
  const { display_name, line, max_input_tokens, max_tokens, created_at, retires_at, lifecycle = "active" } = builtin;
  return {
    ...unknownModel,
    display_name,
    line,
    max_input_tokens,
    max_tokens,
    lifecycle,
    capabilities: describeCapabilities(builtin.capabilities),
    ...(created_at === undefined ? {} : { created_at: midnight(created_at) }),
    ...(retires_at === undefined ? {} : { retires_at: midnight(retires_at) }),
  };
}

function midnight(date: string): string {
  return `${date}T00:00:00Z`;
}
