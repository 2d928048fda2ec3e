import type { ProviderConfig } from "#shared/config/schema.ts";
import type { Adapter, CredentialSource } from "../adapters/adapter.ts";
import { createVoice } from "../adapters/registry.ts";
import { createUpstream, type Upstream } from "../upstream/upstream.ts";

/** A configured provider, ready to be asked. */
export interface Provider {
  readonly name: string;
  /** The current one; its beta rules may be read again. */
  readonly config: ProviderConfig;
  /** Its type, or `bedrock/mantle`: what rules are kept by. */
  readonly wire: string;
  readonly adapter: Adapter;
  /** Undefined where the configuration's own key is all that is needed. */
  readonly credentials: CredentialSource | undefined;
  readonly upstream: Upstream;
}

export interface Providers {
  get(name: string): Provider | undefined;
  /** Takes over the beta rules of these configurations; nothing else of them. */
  useBetas(configs: Readonly<Record<string, ProviderConfig>>): void;
  close(): Promise<void>;
}

export function createProviders(
  configs: Readonly<Record<string, ProviderConfig>>,
  options: { readonly connectTimeoutMs: number },
): Providers {
  const byName = new Map<string, Provider>();
  for (const [name, config] of Object.entries(configs)) {
    const { adapter, credentials } = createVoice(config);
    const upstream = createUpstream(adapter.origin, {
      connections: config.connections,
      connectTimeoutMs: options.connectTimeoutMs,
    });
    byName.set(name, { name, config, wire: wireOf(config), adapter, credentials, upstream });
  }
  return {
    get: (name) => byName.get(name),
    useBetas: (next) => {
      for (const [name, provider] of byName) {
        const { betas: _, ...rest } = provider.config;
        const betas = next[name]?.betas;
        const config: ProviderConfig = betas ? { ...rest, betas } : rest;
        byName.set(name, { ...provider, config });
      }
    },
    close: async () => {
      for (const { credentials } of byName.values()) credentials?.close?.();
      await Promise.all([...byName.values()].map((provider) => provider.upstream.close()));
    },
  };
}

function wireOf(config: ProviderConfig): string {
  return config.type === "bedrock" && config.api === "mantle" ? "bedrock/mantle" : config.type;
}
