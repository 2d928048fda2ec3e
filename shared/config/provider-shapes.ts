import type { BetaRule } from "./schema.ts";

/** Providers as a checked file says them; `provider-schemas.ts` holds them to this. */
export type ProviderShape = AnthropicShape | BedrockShape | VertexShape | FoundryShape | OpenaiShape | GeminiShape;

interface CommonShape {
  readonly base_url?: string;
  readonly api_key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections?: number;
  readonly rerun_sent?: boolean;
  readonly threads?: boolean;
  readonly models?: Readonly<Record<string, string>>;
  readonly betas?: readonly BetaRule[];
}

export interface AwsCredentialShape {
  readonly profile?: string;
  readonly access_key_id?: string;
  readonly secret_access_key?: string;
  readonly session_token?: string;
}

export interface AnthropicShape extends CommonShape, AwsCredentialShape {
  readonly type: "anthropic";
  readonly auth?: "x-api-key" | "bearer" | "google" | "aws";
  readonly batch?: "native" | "calls";
  readonly credentials_file?: string;
  readonly region?: string;
}

export interface BedrockShape extends CommonShape, AwsCredentialShape {
  readonly type: "bedrock";
  readonly region: string;
  readonly api?: "invoke" | "mantle";
}

export interface VertexShape extends CommonShape {
  readonly type: "vertex";
  readonly project: string;
  readonly region: string;
  readonly credentials_file?: string;
  readonly access_token?: string;
}

export interface FoundryShape extends CommonShape {
  readonly type: "foundry";
  readonly resource?: string;
  readonly auth?: "api-key" | "entra";
  readonly tenant_id?: string;
  readonly client_id?: string;
  readonly client_secret?: string;
}

export interface OpenaiShape extends CommonShape {
  readonly type: "openai";
  readonly api?: "chat" | "responses";
  readonly organization?: string;
  readonly max_tokens_field?: "max_completion_tokens" | "max_tokens";
}

export interface GeminiShape extends CommonShape {
  readonly type: "gemini";
  readonly api?: "ai-studio" | "vertex";
  readonly project?: string;
  readonly region?: string;
  readonly credentials_file?: string;
  readonly access_token?: string;
}
