import type { ProviderConfig, ProviderType } from "#shared/config/schema.ts";
import type { Adapter, CreateAdapter, CredentialSource } from "./adapter.ts";
import { createAnthropicAdapter } from "./anthropic/adapter.ts";
import { createBedrockAdapter } from "./bedrock/adapter.ts";
import { createFoundryAdapter } from "./foundry/adapter.ts";
import { createGeminiAdapter } from "./gemini/adapter.ts";
import { createOpenaiAdapter } from "./openai/adapter.ts";
import { createResponsesAdapter } from "./openai-responses/adapter.ts";
import { createVertexAdapter } from "./vertex/adapter.ts";
import { createAwsCredentials } from "../credentials/aws.ts";
import { createFoundryCredentials } from "../credentials/entra.ts";
import { createGoogleCredentials } from "../credentials/google.ts";

type ConfigOf<Type extends ProviderType> = Extract<ProviderConfig, { type: Type }>;

interface Wire<Config> {
  readonly createAdapter: CreateAdapter<Config>;
  /** Undefined where the configuration's own key is all that is needed. */
  readonly createCredentials?: (config: Config) => CredentialSource | undefined;
}

/** One line per provider type. */
const wires: { readonly [Type in ProviderType]: Wire<ConfigOf<Type>> } = {
  anthropic: { createAdapter: createAnthropicAdapter, createCredentials: createPlatformCredentials },
  bedrock: { createAdapter: createBedrockAdapter, createCredentials: createAwsCredentials },
  vertex: { createAdapter: createVertexAdapter, createCredentials: createGoogleCredentials },
  openai: { createAdapter: createAdapterOfApi },
  gemini: { createAdapter: createGeminiAdapter, createCredentials: createGeminiCredentials },
  foundry: { createAdapter: createFoundryAdapter, createCredentials: createFoundryCredentials },
};

function createAdapterOfApi(config: ConfigOf<"openai">): Adapter {
  return config.api === "responses" ? createResponsesAdapter(config) : createOpenaiAdapter(config);
}

/** Claude on AWS' or Google's platform; a key needs nothing more. */
function createPlatformCredentials(config: ConfigOf<"anthropic">): CredentialSource | undefined {
  if (config.auth === "google") return createGoogleCredentials(config);
  const { region = "", apiKey: _, ...rest } = config;
  return config.auth === "aws" ? createAwsCredentials({ ...rest, region }) : undefined;
}

function createGeminiCredentials(config: ConfigOf<"gemini">): CredentialSource | undefined {
  return config.api === "vertex" ? createGoogleCredentials(config) : undefined;
}

/** What is needed to speak with a provider: its wire, and where its credential comes from. */
export interface Voice {
  readonly adapter: Adapter;
  readonly credentials?: CredentialSource;
}

export function createVoice(config: ProviderConfig): Voice {
  return voiceOf(config);
}

function voiceOf<Type extends ProviderType>(config: ConfigOf<Type> & { readonly type: Type }): Voice {
  const wire: Wire<ConfigOf<Type>> = wires[config.type];
  const credentials = wire.createCredentials?.(config);
  return { adapter: wire.createAdapter(config), ...(credentials ? { credentials } : {}) };
}
