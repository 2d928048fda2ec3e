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
  const read = isKind(kind) ? readers[kind] : undefined;
  return read?.({ provider, model, until }, more);
}

type Read = (at: { provider: string; model: string; until: number }, more: readonly string[]) => TargetFact | undefined;

const readers: Readonly<Record<TargetFact["kind"], Read>> = {
  block: (at, [cause]) => ({ kind: "block", ...at, cause: decodeCause(cause) ?? { reason: "rate_limited" } }),
  out({ provider, model, until }, [trouble = "", line]) {
    const cause = decodeCause(line) ?? outCauses.get(trouble);
    return cause && { kind: "out", provider, model: model || undefined, until, cause };
  },
  breaker(at, [openings, line]) {
    const cause = decodeCause(line);
    return { kind: "breaker", ...at, openings: Number(openings) || 0, ...(cause ? { cause } : {}) };
  },
  probe: (at) => ({ kind: "probe", ...at }),
};

function isKind(text: string | undefined): text is TargetFact["kind"] {
  return text !== undefined && Object.hasOwn(readers, text);
}

const outCauses: ReadonlyMap<string, TargetCause> = new Map([
  ["credential", { reason: "credential_refused" }],
  ["exhausted", { reason: "account_exhausted" }],
]);
