import { decodeCause, encodeCause, type TargetCause } from "./target-cause.ts";
import type { TargetFact } from "./target-table.ts";

/**
 * A fact as a field and a value of the hash of targets. Field: kind, provider, model (empty for a whole provider), one
 * a line; value, by line: `until`, of `out` the account's trouble and of `breaker` the number of openings, the cause.
 */
export interface StoredFact {
  readonly field: string;
  readonly value: string;
}

export function encodeFact(fact: TargetFact): StoredFact {
  const field = `${fact.kind}\n${fact.provider}\n${fact.model ?? ""}`;
  if (fact.kind === "probe") return { field, value: String(fact.until) };
  const lines: (string | number)[] = [fact.until];
  if (fact.kind === "out") lines.push(fact.cause.reason === "account_exhausted" ? "exhausted" : "credential");
  if (fact.kind === "breaker") lines.push(fact.openings);
  if (fact.cause) lines.push(encodeCause(fact.cause));
  return { field, value: lines.join("\n") };
}

/** Undefined for what another version wrote. A cause may be missing: it was not always there. */
export function decodeFact({ field, value }: StoredFact): TargetFact | undefined {
  const [kind, provider, model] = field.split("\n");
  const [untilText, ...more] = value.split("\n");
  const until = Number(untilText);
  if (!provider || model === undefined || !Number.isFinite(until)) return undefined;
  switch (kind) {
    case "out": {
      const cause = decodeCause(more[1]) ?? outCauses.get(more[0] ?? "");
      return cause && { kind, provider, model: model || undefined, until, cause };
    }
    case "breaker": {
      const cause = decodeCause(more[1]);
      return { kind, provider, model, until, openings: Number(more[0]) || 0, ...(cause ? { cause } : {}) };
    }
    case "block":
      return { kind, provider, model, until, cause: decodeCause(more[0]) ?? { reason: "rate_limited" } };
    case "probe":
      return { kind, provider, model, until };
    default:
      return undefined;
  }
}

const outCauses: ReadonlyMap<string, TargetCause> = new Map([
  ["credential", { reason: "credential_refused" }],
  ["exhausted", { reason: "account_exhausted" }],
]);
