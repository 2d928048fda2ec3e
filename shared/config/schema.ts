import type { Price } from "#shared/messages/cost.ts";

/**
 * The configuration as the processes use it: defaults filled in, durations in milliseconds, keys hashed, frozen.
 * What the file may say, in its own snake_case words, is `file-schema.ts`.
 */
export interface SluiceConfig {
  readonly server: ServerConfig;
  readonly redis: RedisConfig;
  readonly workers: WorkersConfig;
  /** By name, in the file's order; without a prototype, so a name that a caller made up finds nothing. */
  readonly providers: Readonly<Record<string, ProviderConfig>>;
  /** By catalogue name, without a prototype. Empty: every built-in model through every provider that speaks for it. */
  readonly models: Readonly<Record<string, ModelConfig>>;
  readonly keys: readonly KeyConfig[];
  readonly oidc: readonly OidcConfig[];
  readonly engine: EngineConfig;
  readonly queue: QueueConfig;
  readonly jobs: JobsConfig;
  readonly lanes: LanesConfig;
  readonly trace: { readonly ttlMs: number };
  readonly usage: { readonly keepMs: number };
  readonly outcomes: { readonly ttlMs: number };
  readonly batches: BatchesConfig;
  readonly events: EventsConfig;
  readonly ops: OpsConfig;
  readonly log: { readonly level: LogLevel };
}

export const queueUses = ["always", "when_waiting"] as const;
/** Whether whole answers and counts always go through the queue, or only when there is something to wait for. */
export type QueueUse = (typeof queueUses)[number];

export interface QueueConfig {
  readonly interactive: QueueUse;
  /** How long a whole answer goes on after its last caller left. */
  readonly lingerMs: number;
  /** How long a job is its dispatcher's without a renewal. */
  readonly lockMs: number;
}

export interface JobsConfig {
  readonly expiresAfterMs: number;
  readonly keepMs: number;
  /** Of one key at a time. */
  readonly maxOpen: number;
}

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  /** What callers reach the gateway by, without a trailing slash; empty: taken from the request. */
  readonly publicUrl: string;
  readonly corsOrigins: readonly string[];
  readonly heartbeatAfterMs: number;
  readonly commitAfterMs: number;
  readonly maxBodyBytes: number;
  readonly bodyBudgetBytes: number;
  readonly bodyTimeoutMs: number;
  readonly minBodyBytesPerSecond: number;
  readonly pingAfterMs: number;
  readonly streamIdleMs: number;
  readonly maxStreamMs: number;
  /** True: every proxy is believed; a list: only these addresses and networks. */
  readonly trustProxy: boolean | readonly string[];
  readonly drainMs: number;
  /** Open calls beyond which new ones are shed. */
  readonly maxWaiting: number;
}

export interface RedisConfig {
  readonly url: string;
  readonly prefix: string;
  /** Encrypts bodies and outcomes at rest: 32 bytes as 64 hex digits or base64. */
  readonly encryptionKey?: string;
}

export interface WorkersConfig {
  /** Any gRPC name: `dns:///worker:50051`, `ipv4:127.0.0.1:50051,127.0.0.1:50052`. */
  readonly address: string;
  readonly listen: string;
  readonly token: string;
  /** Paths of PEM files. */
  readonly tls?: TlsConfig;
}

export interface TlsConfig {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export const providerTypes = ["anthropic", "bedrock", "vertex", "foundry", "openai", "gemini"] as const;
export type ProviderType = (typeof providerTypes)[number];

export type ProviderConfig =
  | AnthropicProviderConfig
  | BedrockProviderConfig
  | VertexProviderConfig
  | FoundryProviderConfig
  | OpenaiProviderConfig
  | GeminiProviderConfig;

/** Secrets are absent in every process but the worker. */
interface CommonProviderConfig {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly apiKey?: string;
  /** Sent with every request, lower case. Absent in every process but the worker. */
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  /** Overrides `engine.rerunSent` for this provider. */
  readonly rerunSent?: boolean;
  /** Whether message threads can be kept there. */
  readonly threads: boolean;
  /** Upstream model id by catalogue name, where they differ; without a prototype. */
  readonly models: Readonly<Record<string, string>>;
  /** What becomes of beta flags there, before what is built in. */
  readonly betas?: readonly BetaRule[];
}

export interface BetaRule {
  /** Globs; absent: every model. */
  readonly models?: readonly string[];
  /** By glob: `send`, `drop`, `header`, `body`, or the flag's name there. */
  readonly flags: Readonly<Record<string, string>>;
}

/** Without an access key AWS' default chain is asked. */
interface AwsCredentialConfig {
  readonly profile?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
}

export interface AnthropicProviderConfig extends CommonProviderConfig, AwsCredentialConfig {
  readonly type: "anthropic";
  /** `google`: application default credentials, unless there is a `credentialsFile`. `aws`: signatures for `region`. */
  readonly auth: "x-api-key" | "bearer" | "google" | "aws";
  readonly credentialsFile?: string;
  readonly region?: string;
  /** Items of batches go there as batches of its own, not each as a call. */
  readonly batch?: "native";
}

/** `apiKey` is a Bedrock API key; without it and without an access key the default chain is asked. */
export interface BedrockProviderConfig extends CommonProviderConfig, AwsCredentialConfig {
  readonly type: "bedrock";
  readonly region: string;
  readonly api: "invoke" | "mantle";
}

/** Without `accessToken` and `credentialsFile`, application default credentials. */
export interface VertexProviderConfig extends CommonProviderConfig {
  readonly type: "vertex";
  readonly project: string;
  /** `global`, `us`, `eu` or a region. */
  readonly region: string;
  readonly credentialsFile?: string;
  readonly accessToken?: string;
}

export interface FoundryProviderConfig extends CommonProviderConfig {
  readonly type: "foundry";
  readonly resource?: string;
  readonly auth: "api-key" | "entra";
  readonly tenantId?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
}

export interface OpenaiProviderConfig extends CommonProviderConfig {
  readonly type: "openai";
  readonly api: "chat" | "responses";
  readonly organization?: string;
  readonly maxTokensField: "max_completion_tokens" | "max_tokens";
}

export interface GeminiProviderConfig extends CommonProviderConfig {
  readonly type: "gemini";
  readonly api: "ai-studio" | "vertex";
  readonly project?: string;
  readonly region?: string;
  readonly credentialsFile?: string;
  readonly accessToken?: string;
}

export interface RouteConfig {
  readonly provider: string;
  /** Upstream model id. */
  readonly model: string;
}

export interface ModelConfig {
  readonly aliases: readonly string[];
  /** In the order in which they are tried; never empty. */
  readonly routes: readonly RouteConfig[];
  readonly displayName?: string;
  /** RFC 3339. */
  readonly createdAt?: string;
  readonly maxInputTokens?: number;
  readonly maxTokens?: number;
  /** Goes before what is built in. */
  readonly price?: Price;
  readonly claude: boolean;
}

export interface LimitsConfig {
  /** Calls a minute. */
  readonly rpm?: number;
  /** Calls at a time. */
  readonly concurrent?: number;
}

export interface KeyConfig {
  readonly name: string;
  /** Lower-case hex; empty in a dispatcher that was not given the key. */
  readonly sha256: string;
  /** Globs over catalogue names; absent: every model. */
  readonly models?: readonly string[];
  readonly limits?: LimitsConfig;
  readonly budget?: BudgetConfig;
  /** May read what every key used. */
  readonly admin?: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number;
  readonly disabled?: boolean;
}

export const budgetPeriods = ["day", "month"] as const;

/** What a key may spend in a day or a month of UTC. */
export interface BudgetConfig {
  readonly usd: number;
  readonly per: (typeof budgetPeriods)[number];
}

export interface OidcConfig {
  readonly name: string;
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Claim name to glob; never empty. Without a prototype. */
  readonly claims: Readonly<Record<string, string>>;
  readonly jwksUri?: string;
  readonly models?: readonly string[];
  /** Of every subject. */
  readonly limits?: LimitsConfig;
  readonly budget?: BudgetConfig;
}

export interface EngineConfig {
  /** Whether a call that was sent but never answered may be sent once more. */
  readonly rerunSent: boolean;
  readonly sameTargetRetries: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly connectTimeoutMs: number;
  /** Streams only; a whole answer has until its deadline. */
  readonly headersTimeoutMs: number;
}

/** How many jobs of a lane one dispatcher runs at a time. */
export interface LanesConfig {
  readonly interactive: number;
  readonly count: number;
  readonly background: number;
}

export interface BatchesConfig {
  readonly maxBodyBytes: number;
  readonly maxRequests: number;
  readonly expireAfterMs: number;
  /** From the batch's creation. */
  readonly keepResultsMs: number;
  /** Requests of all open batches of one key together. */
  readonly maxOpenItems: number;
  /** Requests of one batch that are in the lane at a time. */
  readonly window: number;
}

/** Recordings of streams that outlive their callers. */
interface EventsConfig {
  readonly maxBytes: number;
  readonly ttlMs: number;
  /** How long a recording counts as going on without a renewal. */
  readonly leaseMs: number;
  readonly maxReaders: number;
}

/** Where /livez, /readyz and /metrics are; a port of 0 is off. */
interface OpsConfig {
  readonly host: string;
  readonly gateway: number;
  readonly dispatcher: number;
  readonly worker: number;
  readonly simulator: number;
}

export type ServiceName = "gateway" | "dispatcher" | "worker" | "simulator" | "local";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];
