import { readFileSync } from "node:fs";
import { matchesGlob } from "#shared/routing/globs.ts";
import type { BetaRule } from "#shared/config/schema.ts";
import { parse } from "yaml";
import type { SortedBetas } from "./adapter.ts";

interface TypeRules {
  readonly place: "header" | "body";
  readonly unknown: "send" | "drop";
  readonly rules?: readonly BetaRule[];
}

/** Whose flags are sorted for whom. */
export interface BetaQuestion {
  /** A provider's type; `bedrock/mantle` has rules of its own. */
  readonly wire: string;
  /** The provider's own rules, which go first. */
  readonly own: readonly BetaRule[] | undefined;
  /** Every name of the model: the catalogue's and the provider's. */
  readonly models: readonly string[];
  readonly flags: readonly string[];
  /** Flags the target is known to refuse, by its names or the caller's. */
  readonly refused: ReadonlySet<string> | undefined;
}

/** What becomes of beta flags on each wire. */
export interface BetaTable {
  sortFlags(question: BetaQuestion): SortedBetas;
  /** Reads the file again. Throws when it cannot be used; what was read before stays in force. */
  reload(): void;
}

const builtin = new URL("betas.yaml", import.meta.url);

export function createBetaTable(file: URL = builtin): BetaTable {
  let types = readTable(file);
  return {
    sortFlags: (question) => sortBetas(question, types[question.wire] ?? sendAll),
    reload: () => {
      types = readTable(file);
    },
  };
}

const sendAll: TypeRules = { place: "header", unknown: "send" };

function sortBetas(question: BetaQuestion, type: TypeRules): SortedBetas {
  const header = new Set<string>();
  const body = new Set<string>();
  const dropped = new Set<string>();
  const rules = [...(question.own ?? []), ...(type.rules ?? [])].filter(({ models }) => fits(models, question.models));
  for (const flag of new Set(question.flags)) {
    const word = wordFor(flag, rules) ?? type.unknown;
    const name = sentName(flag, word);
    if (name === undefined || isRefused(question, flag, name)) dropped.add(flag);
    else if (placeOf(word, type) === "header") header.add(name);
    else body.add(name);
  }
  return { header: [...header], body: [...body], dropped: [...dropped] };
}

function isRefused({ refused }: BetaQuestion, flag: string, name: string): boolean {
  return refused !== undefined && (refused.has(flag) || refused.has(name));
}

function placeOf(word: string, type: TypeRules): "header" | "body" {
  return word === "header" || word === "body" ? word : type.place;
}

function fits(globs: readonly string[] | undefined, models: readonly string[]): boolean {
  return globs === undefined || models.some((model) => matchesGlob(globs, model));
}

function wordFor(flag: string, rules: readonly BetaRule[]): string | undefined {
  for (const { flags } of rules) for (const glob in flags) if (matchesGlob([glob], flag)) return flags[glob];
  return undefined;
}

const placeWords: ReadonlySet<string> = new Set(["send", "header", "body"]);

/** Undefined for a flag that is dropped. */
function sentName(flag: string, word: string): string | undefined {
  if (word === "drop") return undefined;
  return placeWords.has(word) ? flag : word;
}

function readTable(file: URL): Readonly<Record<string, TypeRules>> {
  const table: unknown = parse(readFileSync(file, "utf8"));
  if (!isMapping(table)) throw new Error("betas.yaml: must be a mapping of provider types");
  for (const [type, rules] of Object.entries(table)) checkType(type, rules);
  return table as Readonly<Record<string, TypeRules>>;
}

function checkType(type: string, value: unknown): void {
  const fault = (what: string): never => {
    throw new Error(`betas.yaml: ${type}${what}`);
  };
  if (!isMapping(value)) return fault(": must be a mapping");
  if (value["place"] !== "header" && value["place"] !== "body") fault(".place: must be header or body");
  if (value["unknown"] !== "send" && value["unknown"] !== "drop") fault(".unknown: must be send or drop");
  const rules = value["rules"] ?? [];
  if (!Array.isArray(rules)) return fault(".rules: must be a list");
  for (const [index, rule] of rules.entries()) {
    const what = ruleFault(rule);
    if (what !== undefined) fault(`.rules[${index}]${what}`);
  }
}

function ruleFault(rule: unknown): string | undefined {
  const { models, flags }: Readonly<Record<string, unknown>> = isMapping(rule) ? rule : {};
  if (models !== undefined && !isTexts(models)) return ".models: must be a list of globs";
  return isMapping(flags) && isTexts(Object.values(flags)) ? undefined : ".flags: must be a mapping of words";
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
