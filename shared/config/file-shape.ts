import type { ProviderShape } from "./provider-shapes.ts";
import type { BudgetConfig } from "./schema.ts";

/** The parts of a checked file that are not sections of plain fields; `file-schema.ts` is what holds them to this. */
export interface FileShape {
  readonly server?: Members;
  readonly redis?: Members;
  readonly workers?: Members;
  readonly providers?: Readonly<Record<string, ProviderShape>>;
  readonly models?: Readonly<Record<string, ModelShape | null>>;
  readonly keys?: readonly KeyShape[];
  readonly oidc?: readonly OidcShape[];
  readonly engine?: Members;
  readonly queue?: Members;
  readonly jobs?: Members;
  readonly lanes?: Members;
  readonly trace?: Members;
  readonly usage?: Members;
  readonly outcomes?: Members;
  readonly batches?: Members;
  readonly events?: Members;
  readonly ops?: Members;
  readonly log?: Members;
}

export type Members = Readonly<Record<string, unknown>>;

export type RouteShape = string | { readonly provider: string; readonly model?: string };

export interface ModelShape {
  readonly aliases?: readonly string[];
  readonly routes?: readonly RouteShape[];
  readonly display_name?: string;
  readonly created_at?: string;
  readonly max_input_tokens?: number;
  readonly max_tokens?: number;
  readonly price?: PriceShape;
  readonly claude?: boolean;
}

/** US dollars per million tokens. */
export interface PriceShape {
  readonly input: number;
  readonly output: number;
  readonly cache_write_5m?: number;
  readonly cache_write_1h?: number;
  readonly cache_read?: number;
}

export interface LimitsShape {
  readonly rpm?: number;
  readonly concurrent?: number;
}

export interface KeyShape {
  readonly name: string;
  readonly key?: string;
  readonly sha256?: string;
  readonly models?: readonly string[];
  readonly limits?: LimitsShape;
  readonly budget?: BudgetConfig;
  readonly admin?: boolean;
  readonly expires_at?: string;
  readonly disabled?: boolean;
}

export interface OidcShape {
  readonly name: string;
  readonly issuer: string;
  readonly audience: string | readonly string[];
  readonly claims: Readonly<Record<string, string>>;
  readonly jwks_uri?: string;
  readonly models?: readonly string[];
  readonly limits?: LimitsShape;
  readonly budget?: BudgetConfig;
}
