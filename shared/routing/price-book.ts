import type { ProviderConfig, SluiceConfig } from "#shared/config/schema.ts";
import type { Price } from "#shared/messages/cost.ts";
import type { Catalogue, CatalogueModel } from "./catalogue.ts";
import { scalePrice, type DatedPrice } from "./model-prices.ts";

/** What models cost. */
export interface PriceBook {
  /**
   * The price of a model, by any of its names, at a provider and a time (milliseconds since the epoch); at the dearest
   * of its targets if no provider is named. Undefined when it is not known.
   */
  find(model: string, provider: string | undefined, at: number): Price | undefined;
  /** Whose price that is, for people: the model that serves there, and the provider. */
  describe(model: string, provider: string | undefined): string;
}

/** What an answer says of itself may be of any length. */
const longestName = 200;

/** Regional and multi-region endpoints of the clouds cost so much more than their global ones. */
const regionalFactor = 1.1;

export function createPriceBook(catalogue: Catalogue, providers: SluiceConfig["providers"]): PriceBook {
  const regional = new Map<CatalogueModel, RegionalPrices>();
  for (const model of catalogue.list()) {
    const at = new Set(
      model.targets.filter((target) => isRegional(providers[target.provider], target.model)).map(nameOf),
    );
    if (at.size > 0) regional.set(model, { providers: at, prices: model.prices.map(toRegional) });
  }
  return {
    find(name, provider, at) {
      const asked = catalogue.find(name);
      const stranger = asked && findStranger(asked, { provider, providers });
      const model = stranger === undefined ? asked : catalogue.find(stranger);
      if (model === undefined) return undefined;
      const dearer = regional.get(model);
      const isDearer = dearer !== undefined && (provider === undefined || dearer.providers.has(provider));
      return priceAt(isDearer ? dearer.prices : model.prices, at);
    },
    describe(name, provider) {
      const asked = catalogue.find(name);
      const served = asked ? (findStranger(asked, { provider, providers }) ?? asked.name) : name;
      return `${served.slice(0, longestName)}${provider === undefined ? "" : ` at ${provider}`}`;
    },
  };
}

interface Surroundings {
  readonly provider: string | undefined;
  readonly providers: SluiceConfig["providers"];
}

/** The upstream id of the model of another family that a provider serves in the place of this one; it has its own price. */
function findStranger(model: CatalogueModel, { provider, providers }: Surroundings): string | undefined {
  const target = provider === undefined ? undefined : model.targets.find((one) => one.provider === provider);
  if (target === undefined || model.hasOwnPrice || !isStranger(target.model, model, providers[target.provider]))
    return undefined;
  return target.model;
}

/** Whether an upstream id is of a model that is no Claude. The clouds' ids of Claude may be anything. */
function isStranger(
  upstreamModel: string,
  { name, claude }: CatalogueModel,
  provider: ProviderConfig | undefined,
): boolean {
  if (!claude || provider === undefined || upstreamModel === name) return false;
  if (provider.type === "anthropic") return !/claude/i.test(upstreamModel);
  return provider.type === "openai" || provider.type === "gemini";
}

interface RegionalPrices {
  readonly providers: ReadonlySet<string>;
  readonly prices: readonly DatedPrice[];
}

function nameOf({ provider }: { readonly provider: string }): string {
  return provider;
}

function toRegional({ since, price }: DatedPrice): DatedPrice {
  return { since, price: scalePrice(price, regionalFactor) };
}

function priceAt(prices: readonly DatedPrice[], at: number): Price | undefined {
  for (const { since, price } of prices) if (since <= at) return price;
  return undefined;
}

/** An id of Bedrock that does not say that it is global may be of one region. */
function isRegional(provider: ProviderConfig | undefined, upstreamModel: string): boolean {
  if (provider?.type === "bedrock") return provider.api === "mantle" || !upstreamModel.startsWith("global.");
  return provider?.type === "vertex" && provider.region !== "global";
}
