import type { FileShape, ModelShape, ProviderShape, RouteShape } from "./file-shape.ts";
import type { ModelConfig, ProviderConfig, RouteConfig } from "./schema.ts";

const vendorUrl = "https://api.anthropic.com";

/** A mapping without a prototype: a name that a caller made up finds nothing in it. */
function bareRecord<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const record = Object.create(null) as Record<string, T>;
  for (const [name, value] of entries) record[name] = value;
  return record;
}

/** With `secrets: "drop"` keys and headers are left out: only workers talk to providers. */
export function readProviders(file: FileShape, secrets: "keep" | "drop"): Record<string, ProviderConfig> {
  const written = Object.entries(file.providers ?? {});
  return bareRecord(written.map(([name, provider]) => [name, readProvider(provider, secrets)]));
}

function readProvider(written: ProviderShape, secrets: "keep" | "drop"): ProviderConfig {
  const baseUrl = (written.base_url ?? vendorUrl).replace(/\/+$/, "");
  const headers = secrets === "keep" ? Object.entries(written.headers ?? {}) : [];
  const apiKey = secrets === "keep" ? written.api_key : undefined;
  return {
    type: written.type,
    baseUrl,
    ...(apiKey === undefined ? {} : { apiKey }),
    auth: written.auth ?? "x-api-key",
    headers: bareRecord(headers.map(([name, value]) => [name.toLowerCase(), value])),
    connections: written.connections ?? 256,
    ...(written.rerun_sent === undefined ? {} : { rerunSent: written.rerun_sent }),
    ...(written.batch === "native" ? { batch: written.batch } : {}),
    threads: written.threads ?? baseUrl === vendorUrl,
    models: bareRecord(Object.entries(written.models ?? {})),
  };
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
    claude: written.claude ?? /^(?:anthropic\/)?claude-/.test(name),
  };
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
