import type { BudgetConfig, KeyConfig, OidcConfig } from "#shared/config/schema.ts";

interface Identities {
  readonly keys: readonly Pick<KeyConfig, "name" | "budget">[];
  readonly oidc: readonly Pick<OidcConfig, "name" | "budget">[];
}

/** The budgets of those who made batches. */
export interface KeyBudgets {
  /** By `key:<name>` or `oidc:<name>:<sub>`; undefined for one without a budget, or that is no longer there. */
  find(keyId: string): BudgetConfig | undefined;
  /** Takes over changed config. */
  replace(identities: Identities): void;
}

export function createKeyBudgets(identities: Identities): KeyBudgets {
  let byIdentity = toMap(identities);
  return {
    find(keyId) {
      const [kind, name] = keyId.split(":", 2);
      return byIdentity.get(`${kind}:${name}`);
    },
    replace(next) {
      byIdentity = toMap(next);
    },
  };
}

function toMap({ keys, oidc }: Identities): ReadonlyMap<string, BudgetConfig> {
  const budgets = new Map<string, BudgetConfig>();
  for (const { name, budget } of keys) if (budget) budgets.set(`key:${name}`, budget);
  for (const { name, budget } of oidc) if (budget) budgets.set(`oidc:${name}`, budget);
  return budgets;
}
