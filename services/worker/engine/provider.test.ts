import { expect, test } from "vitest";
import type { AnthropicProviderConfig } from "#shared/config/schema.ts";
import { createProviders } from "./provider.ts";

const config: AnthropicProviderConfig = {
  type: "anthropic",
  baseUrl: "http://127.0.0.1:1",
  auth: "x-api-key",
  headers: {},
  connections: 1,
  threads: false,
  models: {},
};
const betas = [{ flags: { "made-up-*": "drop" } }];

test("beta rules that are read again take the place of those before, and nothing else changes", async () => {
  const providers = createProviders({ a: config, b: { ...config, betas } }, { connectTimeoutMs: 1 });
  const before = providers.get("a");
  providers.useBetas({ a: { ...config, betas, baseUrl: "http://127.0.0.1:2" }, b: config, c: config });
  expect(providers.get("a")).toEqual({ ...before, config: { ...config, betas } });
  expect(providers.get("b")?.config).toEqual(config);
  expect(providers.get("c")).toBeUndefined();
  await providers.close();
});
