import type { ProviderConfig } from "./schema.ts";

/** Headers in which a credential may be given instead of `api_key`. */
const credentialHeaders = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

/**
 * Whether a provider that is shown a key has none: neither `api_key` nor a header for it, and nothing that is found on
 * the machine stands in. Only a worker can tell: no other process has the keys.
 */
export function lacksApiKey(config: ProviderConfig): boolean {
  if (config.apiKey || !isShownKey(config)) return false;
  return !credentialHeaders.some((name) => config.headers[name]);
}

function isShownKey(config: ProviderConfig): boolean {
  if (config.type === "anthropic") return config.auth === "x-api-key" || config.auth === "bearer";
  if (config.type === "foundry") return config.auth === "api-key";
  if (config.type === "gemini") return config.api === "ai-studio";
  return config.type === "openai";
}
