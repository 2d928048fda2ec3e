import type { ProviderConfig, ProviderType } from "#shared/config/schema.ts";
import type { Adapter } from "./adapter.ts";
import { createAnthropicAdapter } from "./anthropic/adapter.ts";

/** One line per provider type. */
const factories: { readonly [Type in ProviderType]: (config: Extract<ProviderConfig, { type: Type }>) => Adapter } = {
  anthropic: createAnthropicAdapter,
};

export function createAdapter(config: ProviderConfig): Adapter {
  return factories[config.type](config);
}
