import {
  providerTypes,
  type OpenaiProviderConfig,
  type ProviderConfig,
  type ProviderType,
} from "#shared/config/schema.ts";
import type { Credential } from "../../services/worker/adapters/adapter.ts";

const common = { headers: {}, connections: 1, threads: false, models: {} } as const;

/** What has recordings of its own: a type of provider, or another API of one, which is another wire. */
export type WireName = ProviderType | "openai-responses";
export const wireNames: readonly WireName[] = [...providerTypes, "openai-responses"];

const openai = {
  ...common,
  type: "openai",
  baseUrl: "https://api.openai.com/v1",
  api: "chat",
  maxTokensField: "max_completion_tokens",
} as const;

/** The provider that the recorded calls of a wire were made with. */
export const configs: {
  readonly [Wire in WireName]: Wire extends ProviderType
    ? Extract<ProviderConfig, { type: Wire }>
    : OpenaiProviderConfig;
} = {
  anthropic: { ...common, type: "anthropic", baseUrl: "https://api.anthropic.com", auth: "x-api-key", apiKey: "key" },
  bedrock: {
    ...common,
    type: "bedrock",
    baseUrl: "https://bedrock-runtime.us-east-1.amazonaws.com",
    region: "us-east-1",
    api: "invoke",
  },
  vertex: {
    ...common,
    type: "vertex",
    baseUrl: "https://aiplatform.googleapis.com",
    project: "acme",
    region: "global",
  },
  foundry: {
    ...common,
    type: "foundry",
    baseUrl: "https://acme.services.ai.azure.com/anthropic",
    resource: "acme",
    auth: "api-key",
  },
  openai,
  "openai-responses": { ...openai, api: "responses" },
  gemini: { ...common, type: "gemini", baseUrl: "https://generativelanguage.googleapis.com", api: "ai-studio" },
};

const bearer: Credential = { kind: "headers", headers: ["authorization", "Bearer token"] };

export const credentials: { readonly [Wire in WireName]: Credential | undefined } = {
  anthropic: undefined,
  bedrock: { kind: "aws", accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
  vertex: bearer,
  foundry: { kind: "headers", headers: ["api-key", "key"] },
  openai: undefined,
  "openai-responses": undefined,
  gemini: undefined,
};
