import type * as Jose from "jose";
import type { JWTPayload, JWTVerifyGetKey } from "jose";
import type { OidcConfig } from "#shared/config/schema.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { matchesGlob } from "#shared/routing/globs.ts";
import type { Caller } from "./keyring.ts";

/** Signature algorithms with a public key; a shared secret would let every holder of it sign. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const clockToleranceS = 5;
const discoveryTimeoutMs = 5000;
const failureKeptMs = 3000;

export interface OidcVerifier {
  /** True for a JWT whose `iss` is configured; only such a Bearer is taken for an OIDC token. Nothing is verified. */
  claims(token: string): boolean;
  /** The caller behind a token; undefined when no entry accepts it. Throws `overloaded` when the issuer is away. */
  verify(token: string): Promise<Caller | undefined>;
  /** Takes these issuers in place of those before. */
  replace(entries: readonly OidcConfig[]): Promise<void>;
}

interface Entry {
  readonly config: OidcConfig;
  /** Loaded with the first issuer: 10 MB that nobody else pays for. */
  readonly jose: typeof Jose;
  readonly keys: () => Promise<JWTVerifyGetKey>;
}

/** Verifies tokens against their issuers' published keys, which are fetched once and kept. Knows no issuer at first. */
export function createOidcVerifier(): OidcVerifier {
  let entries: readonly Entry[] = [];
  const issuerOf = (token: string): string | undefined => entries[0] && readIssuer(entries[0].jose, token);
  return {
    claims(token) {
      const issuer = issuerOf(token);
      return issuer !== undefined && entries.some((entry) => entry.config.issuer === issuer);
    },
    async verify(token) {
      const issuer = issuerOf(token);
      for (const entry of entries) {
        if (entry.config.issuer !== issuer) continue;
        const payload = await verifyWith(entry, token);
        if (payload !== undefined) return toCaller(entry.config, payload);
      }
      return undefined;
    },
    async replace(next) {
      if (next.length === 0) entries = [];
      else {
        const jose = await import("jose");
        entries = next.map((config) => toEntry(config, jose));
      }
    },
  };
}

function readIssuer(jose: typeof Jose, token: string): string | undefined {
  if (!token.startsWith("ey")) return undefined;
  try {
    return jose.decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

async function verifyWith(entry: Entry, token: string): Promise<JWTPayload | undefined> {
  try {
    const { payload } = await entry.jose.jwtVerify(token, await entry.keys(), {
      issuer: entry.config.issuer,
      audience: [...entry.config.audience],
      algorithms,
      requiredClaims: ["exp", "sub"],
      clockTolerance: clockToleranceS,
    });
    return Object.entries(entry.config.claims).every(([name, glob]) => claimMatches(payload[name], glob))
      ? payload
      : undefined;
  } catch (reason) {
    if (reason instanceof entry.jose.errors.JOSEError && !isIssuerAway(entry.jose, reason)) return undefined;
    throw new GatewayError("overloaded", "The token's issuer could not be reached to verify it.", {
      retryAfterS: 1,
      cause: reason,
    });
  }
}

/** jose says so with its plainest class or a time-out; every other class is about the token. */
function isIssuerAway(jose: typeof Jose, error: Jose.errors.JOSEError): boolean {
  return error instanceof jose.errors.JWKSTimeout || error.code === "ERR_JOSE_GENERIC";
}

/** A list claim (groups) matches by any of its members. */
function claimMatches(claim: unknown, glob: string): boolean {
  if (Array.isArray(claim)) return claim.some((member) => typeof member === "string" && matchesGlob([glob], member));
  return typeof claim === "string" && matchesGlob([glob], claim);
}

function toCaller(config: OidcConfig, payload: JWTPayload): Caller {
  return {
    keyId: `oidc:${config.name}:${payload.sub ?? ""}`,
    ...(config.models ? { models: config.models } : {}),
    ...(config.limits ? { limits: config.limits } : {}),
    ...(config.budget ? { budget: config.budget } : {}),
  };
}

function toEntry(config: OidcConfig, jose: typeof Jose): Entry {
  let keys: Promise<JWTVerifyGetKey> | undefined;
  return {
    config,
    jose,
    keys() {
      if (keys === undefined) {
        keys = findKeys(config, jose);
        // An issuer that is away is not asked again for every token that names it.
        keys.catch(() => setTimeout(() => (keys = undefined), failureKeptMs).unref());
      }
      return keys;
    },
  };
}

async function findKeys(config: OidcConfig, jose: typeof Jose): Promise<JWTVerifyGetKey> {
  const uri = config.jwksUri ?? (await discoverKeysUri(config.issuer));
  return jose.createRemoteJWKSet(new URL(uri), { timeoutDuration: discoveryTimeoutMs });
}

async function discoverKeysUri(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await fetch(url, { signal: AbortSignal.timeout(discoveryTimeoutMs), redirect: "error" });
  const document: unknown = await response.json();
  if (typeof document === "object" && document !== null && "jwks_uri" in document) {
    if ("issuer" in document && document.issuer === issuer && typeof document.jwks_uri === "string")
      return document.jwks_uri;
  }
  throw new Error(`no usable OpenID configuration at ${url}`);
}
