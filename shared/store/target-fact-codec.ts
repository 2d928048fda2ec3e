import type { OutReason, TargetFact } from "./target-table.ts";

/**
 * A fact as a field and a value of the hash of targets. Field: kind, provider, model (empty for a whole provider), one
 * a line; value: `until`, and the reason or the number of openings.
 */
export interface StoredFact {
  readonly field: string;
  readonly value: string;
}

export function encodeFact(fact: TargetFact): StoredFact {
  const field = `${fact.kind}\n${fact.provider}\n${fact.model ?? ""}`;
  if (fact.kind === "out") return { field, value: `${fact.until}\n${fact.reason}` };
  if (fact.kind === "breaker") return { field, value: `${fact.until}\n${fact.openings}` };
  return { field, value: String(fact.until) };
}

/** Undefined for what another version wrote. */
export function decodeFact({ field, value }: StoredFact): TargetFact | undefined {
  const [kind, provider, model] = field.split("\n");
  const [untilText, more] = value.split("\n");
  const until = Number(untilText);
  if (!provider || model === undefined || !Number.isFinite(until)) return undefined;
  if (kind === "out")
    return isOutReason(more) ? { kind, provider, model: model || undefined, until, reason: more } : undefined;
  if (kind === "breaker") return { kind, provider, model, until, openings: Number(more) || 0 };
  return kind === "block" || kind === "probe" ? { kind, provider, model, until } : undefined;
}

function isOutReason(text: string | undefined): text is OutReason {
  return text === "credential" || text === "exhausted";
}
