import { createHash } from "node:crypto";
import type { KeyShape, LimitsShape, OidcShape } from "./file-shape.ts";
import type { BudgetConfig, KeyConfig, LimitsConfig, OidcConfig } from "./schema.ts";

/** Lower-case hex of a key's SHA-256, the only form in which keys are kept. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key, "utf8").digest("hex");
}

export function readKey(written: KeyShape): KeyConfig {
  const { name, key, sha256, models, limits, budget, admin, expires_at: expiresAt, disabled } = written;
  return {
    name,
    sha256: sha256?.toLowerCase() ?? (key === undefined ? "" : hashKey(key)),
    ...(models ? { models: [...models] } : {}),
    ...(limits ? { limits: readLimits(limits) } : {}),
    ...(budget ? { budget: readBudget(budget) } : {}),
    ...(admin ? { admin } : {}),
    ...(expiresAt === undefined ? {} : { expiresAt: Date.parse(expiresAt) }),
    ...(disabled === undefined ? {} : { disabled }),
  };
}

export function readOidc(written: OidcShape): OidcConfig {
  const { name, issuer, audience, claims, jwks_uri: jwksUri, models, limits, budget } = written;
  return {
    name,
    issuer,
    audience: typeof audience === "string" ? [audience] : [...audience],
    claims: Object.assign(Object.create(null) as Record<string, string>, claims),
    ...(jwksUri === undefined ? {} : { jwksUri }),
    ...(models ? { models: [...models] } : {}),
    ...(limits ? { limits: readLimits(limits) } : {}),
    ...(budget ? { budget: readBudget(budget) } : {}),
  };
}

function readLimits({ rpm, concurrent }: LimitsShape): LimitsConfig {
  return { ...(rpm === undefined ? {} : { rpm }), ...(concurrent === undefined ? {} : { concurrent }) };
}

function readBudget({ usd, per }: BudgetConfig): BudgetConfig {
  return { usd, per };
}
