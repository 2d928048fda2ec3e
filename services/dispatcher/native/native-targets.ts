import type { SluiceConfig } from "#shared/config/schema.ts";
import { createCatalogue, type Target } from "#shared/routing/catalogue.ts";
import type { ItemHead } from "#shared/store/batch-codec.ts";

/** Where an item goes first, if a provider with batches of its own is there; undefined: it runs as a call. */
export type FindNativeTarget = (head: ItemHead) => Target | undefined;

export function createNativeTargets(config: SluiceConfig): FindNativeTarget {
  const catalogue = createCatalogue(config);
  return (head) => {
    // Who has wishes of where it is to go, or goes on with something, has its own way.
    if (Object.keys(head.wishes).length > 0 || head.container !== undefined) return undefined;
    const target = catalogue.find(head.model)?.targets[0];
    const provider = target && config.providers[target.provider];
    return provider?.type === "anthropic" && provider.batch === "native" ? target : undefined;
  };
}
