import { hash, timingSafeEqual } from "node:crypto";
import type { BudgetConfig, KeyConfig, LimitsConfig } from "#shared/config/schema.ts";

/** Who a call is made by; everything with an id is scoped to `keyId`. */
export interface Caller {
  /** `key:<name>` or `oidc:<name>:<sub>`. */
  readonly keyId: string;
  /** Globs over catalogue names; absent: every model. */
  readonly models?: readonly string[];
  readonly limits?: LimitsConfig;
  readonly budget?: BudgetConfig;
  /** May read what every key used. */
  readonly isAdmin?: true;
}

type KeyMatch =
  | { readonly caller: Caller; readonly refused?: never }
  | { readonly refused: "expired" | "disabled"; readonly keyId: string };

export interface Keyring {
  /** The caller behind a key; undefined for a key nobody was given. */
  find(token: string): KeyMatch | undefined;
  /** Takes over changed config; calls that run go on. */
  replace(keys: readonly KeyConfig[]): void;
}

interface Entry {
  readonly digest: Buffer;
  readonly caller: Caller;
  readonly expiresAt: number | undefined;
  readonly disabled: boolean;
}

/** Keys by the SHA-256 of their text: the text itself is never held. */
export function createKeyring(keys: readonly KeyConfig[]): Keyring {
  let entries = toEntries(keys);
  return {
    find(token) {
      const digest = hash("sha256", token, "buffer");
      const entry = entries.get(digest.toString("hex"));
      // The map's lookup already compared; this comparison is the one whose time tells nothing.
      if (entry === undefined || !timingSafeEqual(entry.digest, digest)) return undefined;
      if (entry.disabled) return { refused: "disabled", keyId: entry.caller.keyId };
      if (entry.expiresAt !== undefined && Date.now() >= entry.expiresAt)
        return { refused: "expired", keyId: entry.caller.keyId };
      return { caller: entry.caller };
    },
    replace(next) {
      entries = toEntries(next);
    },
  };
}

function toEntries(keys: readonly KeyConfig[]): Map<string, Entry> {
  return new Map(
    keys.map((key) => [
      key.sha256,
      {
        digest: Buffer.from(key.sha256, "hex"),
        caller: {
          keyId: `key:${key.name}`,
          ...(key.models ? { models: key.models } : {}),
          ...(key.limits ? { limits: key.limits } : {}),
          ...(key.budget ? { budget: key.budget } : {}),
          ...(key.admin ? { isAdmin: true } : {}),
        },
        expiresAt: key.expiresAt,
        disabled: key.disabled ?? false,
      },
    ]),
  );
}
