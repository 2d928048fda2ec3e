import type { ProviderConfig, ProviderType } from "#shared/config/schema.ts";
import type { Adapter, CreateAdapter, CredentialSource } from "./adapter.ts";
import { createAnthropicAdapter } from "./anthropic/adapter.ts";

type ConfigOf<Type extends ProviderType> = Extract<ProviderConfig, { type: Type }>;

interface Wire<Config> {
  readonly createAdapter: CreateAdapter<Config>;
  /** Undefined where the configuration's own key is all that is needed. */
  readonly createCredentials?: (config: Config) => CredentialSource | undefined;
}

/** One line per provider type. */
const wires: { readonly [Type in ProviderType]?: Wire<ConfigOf<Type>> } = {
  anthropic: { createAdapter: createAnthropicAdapter },
};

/** What is needed to speak with a provider: its wire, and where its credential comes from. */
export interface Voice {
  readonly adapter: Adapter;
  readonly credentials?: CredentialSource;
}

export function createVoice<Type extends ProviderType>(config: ConfigOf<Type>): Voice {
  const wire = wires[config.type] as Wire<ConfigOf<Type>> | undefined;
  if (!wire) throw new Error(`no adapter for ${config.type}`);
  const credentials = wire.createCredentials?.(config);
  return { adapter: wire.createAdapter(config), ...(credentials ? { credentials } : {}) };
}
