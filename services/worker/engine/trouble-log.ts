import { lacksApiKey } from "#shared/config/lacks-api-key.ts";
import type { ProviderConfig } from "#shared/config/schema.ts";
import type { Target } from "#shared/routing/catalogue.ts";
import type { TargetCause } from "#shared/store/target-cause.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { targetKey } from "./target-key.ts";

/** Tells a provider's operator what only they can mend: once, not with every call that meets it. */
export interface TroubleLog {
  /** `until`, milliseconds since the epoch: when the target is asked again; absent: with the next call. */
  noted(target: Target, cause: TargetCause, until?: number): void;
  /** For every success; costs nothing while no trouble is told. */
  succeeded(target: Target): void;
}

export interface TroubleLogDeps {
  readonly logger: Logger;
  readonly providers: { get(name: string): { readonly config: ProviderConfig } | undefined };
  readonly now?: () => number;
}

/** What lasts is told again after this. */
const remindMs = 10 * 60_000;
/** A shorter limit is a provider's everyday, and callers sleep through it. */
const longLimitMs = 60_000;

interface Told {
  readonly at: number;
  readonly target: Target;
  readonly reason: TargetCause["reason"];
}

/**
 * One line at `warn` when a provider refuses our credential or account, or limits a target for a minute or more; the next
 * after ten minutes, or after the target was well again in between, which is a line too.
 */
export function createTroubleLog({ logger, providers, now = Date.now }: TroubleLogDeps): TroubleLog {
  const told = new Map<string, Told>();
  return {
    noted(target, cause, until) {
      const at = now();
      const isLimit = cause.reason === "rate_limited";
      if (isLimit && (until ?? 0) - at < longLimitMs) return;
      // A credential is its provider's: its models would say the same.
      const key = isLimit ? targetKey(target) : target.provider;
      const before = told.get(key);
      if (before?.reason === cause.reason && at - before.at < remindMs) return;
      told.set(key, { at, target, reason: cause.reason });
      const { provider, model } = target;
      const advice = adviceOn(cause, provider, providers.get(provider)?.config);
      const when = until === undefined ? {} : { until: new Date(until).toISOString() };
      logger.warn({ provider, model, ...cause, ...when, advice }, "provider not usable");
    },
    succeeded(target) {
      if (told.size === 0) return;
      recover(targetKey(target), target);
      recover(target.provider, target);
    },
  };

  function recover(key: string, { provider, model }: Target): void {
    const before = told.get(key);
    // Another model may be let in with a credential that this one is refused.
    if (!before || (before.reason !== "account_exhausted" && before.target.model !== model)) return;
    told.delete(key);
    logger.info({ provider, model, reason: before.reason }, "provider usable again");
  }
}

function adviceOn({ reason }: TargetCause, provider: string, config: ProviderConfig | undefined): string {
  const entry = `providers.${provider}`;
  if (reason === "rate_limited")
    return "ask the provider for a higher limit, or give the model's routes another provider for the time";
  if (reason === "account_exhausted")
    return `see the account of ${entry} at the provider: it is out of credit, over its spend limit or on hold`;
  if (config !== undefined && lacksApiKey(config))
    return `${entry}.api_key is missing: set it, then restart the workers`;
  const named = credentialMembers.find(([name]) => config !== undefined && name in config)?.[1];
  // Where neither a member nor the machine has a key, it comes in a header.
  const member = named ?? (config !== undefined && lacksApiKey({ ...config, headers: {} }) ? "headers" : undefined);
  const where =
    member === undefined ? `the credentials that ${entry} finds on this machine` : `${entry}.${member} in sluice.yaml`;
  return `check ${where} (or the variable it comes from), then restart the workers`;
}

/** Where a configuration says what it shows its provider, by the file's names. */
const credentialMembers = [
  ["apiKey", "api_key"],
  ["accessToken", "access_token"],
  ["credentialsFile", "credentials_file"],
  ["clientSecret", "client_secret"],
  ["accessKeyId", "access_key_id"],
  ["profile", "profile"],
] as const;
