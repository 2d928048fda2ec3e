import type { Target } from "#shared/routing/catalogue.ts";
import { targetKey } from "./target-key.ts";

/** Beta flags that targets refused, for an hour each. */
export interface BetaMemory {
  /** The flags this target is known to refuse now. */
  refused(target: Target, now: number): ReadonlySet<string> | undefined;
  remember(target: Target, flags: readonly string[], now: number): void;
}

const rememberMs = 60 * 60 * 1000;
/** A provider that names ever new flags must not fill our memory. */
const mostFlagsPerTarget = 64;

export function createBetaMemory(): BetaMemory {
  const byTarget = new Map<string, Map<string, number>>();
  return {
    refused: (target, now) => {
      if (byTarget.size === 0) return undefined;
      const flags = byTarget.get(targetKey(target));
      if (!flags) return undefined;
      for (const [flag, until] of flags) if (until <= now) flags.delete(flag);
      return flags.size > 0 ? new Set(flags.keys()) : undefined;
    },
    remember: (target, flags, now) => {
      const key = targetKey(target);
      let known = byTarget.get(key);
      if (!known) byTarget.set(key, (known = new Map()));
      for (const flag of flags) if (known.size < mostFlagsPerTarget) known.set(flag, now + rememberMs);
    },
  };
}
