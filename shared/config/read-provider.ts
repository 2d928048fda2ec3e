import { bareRecord } from "./bare-record.ts";
import { vendorUrl } from "./provider-urls.ts";
import type {
  AnthropicShape,
  AwsCredentialShape,
  BedrockShape,
  FoundryShape,
  GeminiShape,
  OpenaiShape,
  ProviderShape,
  VertexShape,
} from "./provider-shapes.ts";
import type { ProviderConfig, ProviderType } from "./schema.ts";

type ConfigOf<Type extends ProviderType> = Extract<ProviderConfig, { readonly type: Type }>;
type Common = Omit<ConfigOf<"anthropic">, "type" | "auth">;

/** One provider with its defaults; with `secrets: "drop"` without anything that only workers may know. */
export function readProvider(written: ProviderShape, secrets: "keep" | "drop"): ProviderConfig {
  const known = secrets === "keep" ? written : withoutSecrets(written);
  const common = readCommon(known);
  switch (known.type) {
    case "anthropic":
      return readAnthropic(known, common);
    case "bedrock":
      return readBedrock(known, common);
    case "vertex":
      return readVertex(known, common);
    case "foundry":
      return readFoundry(known, common);
    case "openai":
      return readOpenai(known, common);
    case "gemini":
      return readGemini(known, common);
    default:
      return known satisfies never;
  }
}

/** What only workers need of a provider, by its name in the file; other processes may lack the variables for it. */
export const providerSecrets = [
  "api_key",
  "headers",
  "access_key_id",
  "secret_access_key",
  "session_token",
  "access_token",
  "credentials_file",
  "tenant_id",
  "client_id",
  "client_secret",
] as const;

function withoutSecrets(written: ProviderShape): ProviderShape {
  const kept = Object.entries(written).filter(([name]) => !(providerSecrets as readonly string[]).includes(name));
  return Object.fromEntries(kept) as unknown as ProviderShape;
}

function readCommon(written: ProviderShape): Common {
  const baseUrl = (written.base_url ?? vendorUrl(written)).replace(/\/+$/, "");
  const keepsThreads = written.type === "anthropic" && baseUrl === vendorUrl(written);
  return {
    baseUrl,
    ...(written.api_key === undefined ? {} : { apiKey: written.api_key }),
    headers: bareRecord(Object.entries(written.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])),
    connections: written.connections ?? 4096,
    ...(written.rerun_sent === undefined ? {} : { rerunSent: written.rerun_sent }),
    threads: written.threads ?? keepsThreads,
    models: bareRecord(Object.entries(written.models ?? {})),
    ...(written.betas ? { betas: written.betas.map((rule) => ({ ...rule })) } : {}),
  };
}

function readAnthropic(written: AnthropicShape, common: Common): ConfigOf<"anthropic"> {
  const { auth = "x-api-key", batch, region, credentials_file: credentialsFile } = written;
  return {
    type: "anthropic",
    ...common,
    auth,
    ...(batch === "native" ? { batch } : {}),
    ...given({ region, credentialsFile }),
    ...awsCredential(written),
  };
}

function readBedrock(written: BedrockShape, common: Common): ConfigOf<"bedrock"> {
  return {
    type: "bedrock",
    ...common,
    region: written.region,
    api: written.api ?? "invoke",
    ...awsCredential(written),
  };
}

function awsCredential(
  written: AwsCredentialShape,
): Pick<ConfigOf<"bedrock">, "profile" | "accessKeyId" | "secretAccessKey" | "sessionToken"> {
  return given({
    profile: written.profile,
    accessKeyId: written.access_key_id,
    secretAccessKey: written.secret_access_key,
    sessionToken: written.session_token,
  });
}

function readVertex(written: VertexShape, common: Common): ConfigOf<"vertex"> {
  const { project, region } = written;
  return { type: "vertex", ...common, project, region, ...googleCredentials(written) };
}

function readFoundry(written: FoundryShape, common: Common): ConfigOf<"foundry"> {
  return {
    type: "foundry",
    ...common,
    auth: written.auth ?? "api-key",
    ...given({
      resource: written.resource,
      tenantId: written.tenant_id,
      clientId: written.client_id,
      clientSecret: written.client_secret,
    }),
  };
}

function readOpenai(written: OpenaiShape, common: Common): ConfigOf<"openai"> {
  return {
    type: "openai",
    ...common,
    api: written.api ?? "chat",
    maxTokensField: written.max_tokens_field ?? "max_completion_tokens",
    ...given({ organization: written.organization }),
  };
}

function readGemini(written: GeminiShape, common: Common): ConfigOf<"gemini"> {
  const { project, region } = written;
  const api = written.api ?? "ai-studio";
  return { type: "gemini", ...common, api, ...given({ project, region }), ...googleCredentials(written) };
}

function googleCredentials(written: VertexShape | GeminiShape): {
  readonly credentialsFile?: string;
  readonly accessToken?: string;
} {
  return given({ credentialsFile: written.credentials_file, accessToken: written.access_token });
}

/** The members that have a value; an empty text is an unset variable with an empty default. */
function given<T extends Readonly<Record<string, string | undefined>>>(
  members: T,
): { readonly [Key in keyof T]?: string } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== "")) as {
    readonly [Key in keyof T]?: string;
  };
}
