import type { Price } from "#shared/messages/cost.ts";
import { bareRecord } from "./bare-record.ts";
import type { FileShape, ModelShape, PriceShape, RouteShape } from "./file-shape.ts";
import { readProvider } from "./read-provider.ts";
import type { ModelConfig, ProviderConfig, RouteConfig } from "./schema.ts";

/** With `secrets: "drop"` keys and headers are left out: only workers talk to providers. */
export function readProviders(file: FileShape, secrets: "keep" | "drop"): Record<string, ProviderConfig> {
  const written = Object.entries(file.providers ?? {});
  return bareRecord(written.map(([name, provider]) => [name, readProvider(provider, secrets)]));
}

export function readModels(
  file: FileShape,
  providers: Readonly<Record<string, ProviderConfig>>,
): Record<string, ModelConfig> {
  const written = Object.entries(file.models ?? {});
  return bareRecord(written.map(([name, model]) => [name, readModel(name, model ?? {}, providers)]));
}

type Providers = Readonly<Record<string, ProviderConfig>>;

function readModel(name: string, written: ModelShape, providers: Providers): ModelConfig {
  const { display_name: displayName, created_at: createdAt, max_input_tokens: maxInputTokens } = written;
  const routes = written.routes?.map((route) => readRoute(name, route, providers));
  return {
    aliases: [...(written.aliases ?? [])],
    routes: routes ?? everyRoute(name, providers),
    ...(displayName === undefined ? {} : { displayName }),
    ...(createdAt === undefined ? {} : { createdAt: new Date(createdAt).toISOString() }),
    ...(maxInputTokens === undefined ? {} : { maxInputTokens }),
    ...(written.max_tokens === undefined ? {} : { maxTokens: written.max_tokens }),
    ...(written.price === undefined ? {} : { price: readPrice(written.price) }),
    claude: written.claude ?? /^(?:anthropic\/)?claude-/.test(name),
  };
}

/** What is not said costs what input does: high rather than nothing. */
function readPrice({ input, output, ...cache }: PriceShape): Price {
  const { cache_write_5m: cacheWrite5m = input, cache_write_1h: cacheWrite1h = cacheWrite5m } = cache;
  return { rates: { input, output, cacheWrite5m, cacheWrite1h, cacheRead: cache.cache_read ?? input } };
}

function readRoute(name: string, written: RouteShape, providers: Providers): RouteConfig {
  const { provider, model } = typeof written === "string" ? { provider: written, model: undefined } : written;
  return { provider, model: model ?? upstreamModel(name, providers[provider]) };
}

/** A model through every provider, in the file's order. */
export function everyRoute(name: string, providers: Providers): RouteConfig[] {
  return Object.entries(providers).map(([provider, config]) => ({ provider, model: upstreamModel(name, config) }));
}

function upstreamModel(name: string, provider: ProviderConfig | undefined): string {
  return provider?.models[name] ?? name;
}
