import { Type, type TSchema } from "typebox";
import { parseDocument } from "yaml";
import { checkShape } from "#shared/config/check-shape.ts";
import { formatPath, type Fault, type PathPart } from "#shared/config/config-error.ts";
import {
  amountSchema,
  choiceSchema,
  flagSchema,
  integerSchema,
  listSchema,
  record,
  textSchema,
} from "#shared/config/fields.ts";
import { closedObject } from "#shared/config/section.ts";
import {
  effortLevels,
  modelRefusals,
  thinkingKinds,
  type BuiltinModel,
  type BuiltinPrice,
  type BuiltinRates,
} from "./builtin-models.ts";
import { creatorForms } from "./creator-forms.ts";

const optional = (schema: TSchema): TSchema => Type.Optional(schema);
const dearest = 10_000;
const tokens = integerSchema("Tokens.", { min: 1, max: 100_000_000 });
const date = textSchema("A day.", {
  pattern: "^\\d{4}-\\d\\d-\\d\\d$",
  errorMessage: "must be a day such as 2026-11-22",
});
const word = "^[a-z][a-z0-9_.-]*$";
const factor = amountSchema("A factor.", 100);

const rates = closedObject("US dollars per million tokens.", {
  input: amountSchema("Input.", dearest),
  output: amountSchema("Output.", dearest),
  cache_write_5m: amountSchema("Written to the cache for 5 minutes.", dearest),
  cache_write_1h: amountSchema("Written to the cache for an hour.", dearest),
  cache_read: amountSchema("Read from the cache.", dearest),
});

const price = closedObject("A price.", {
  since: optional(date),
  checked: date,
  source: choiceSchema("Where it was read.", ["vendor", "secondary"]),
  rates,
  long_prompt: optional(closedObject("Beyond a length.", { above: tokens, rates })),
  batch: factor,
  inference_geo: optional(record("By place.", word, factor)),
  speed: optional(record("By speed.", word, factor)),
  web_search: optional(amountSchema("Per thousand.", dearest)),
});

const model = closedObject("A model.", {
  display_name: textSchema("For people."),
  line: choiceSchema("Its line.", ["haiku", "sonnet", "opus", "fable", "mythos"]),
  created_at: optional(date),
  max_input_tokens: tokens,
  max_tokens: tokens,
  min_cached_tokens: optional(tokens),
  aliases: optional(listSchema("Further names.", textSchema("A name."))),
  lifecycle: optional(choiceSchema("Where it is in its life.", ["active", "deprecated", "retired"])),
  retires_at: optional(date),
  capabilities: closedObject("What it has.", {
    effort: listSchema("Levels.", choiceSchema("A level.", effortLevels)),
    thinking: listSchema("Kinds.", choiceSchema("A kind.", thinkingKinds)),
    compaction: optional(flagSchema("Whether it compacts.")),
  }),
  refuses: listSchema("What it refuses.", choiceSchema("A kind.", modelRefusals)),
  prices: optional(listSchema("Newest first.", price)),
});

const file = record("Models by name.", "^[a-z][a-z0-9.-]*$", model);

/** What is wrong with the text of models.yaml, one line each; `today` is a day such as 2026-11-22. */
export function checkModels(text: string, today: string): string[] {
  const document = parseDocument(text);
  if (document.errors.length > 0) return document.errors.map(({ message }) => message);
  const tree: unknown = document.toJS();
  const misshapen = checkShape(tree, file, new Set());
  const faults = misshapen.length > 0 ? misshapen : crossCheck(tree as Readonly<Record<string, BuiltinModel>>, today);
  return faults.map(({ at, message }) => `${formatPath(at)}: ${message}`);
}

function crossCheck(models: Readonly<Record<string, BuiltinModel>>, today: string): Fault[] {
  const faults: Fault[] = [];
  const owners = new Map(Object.keys(models).map((name) => [name, name]));
  for (const [name, one] of Object.entries(models)) {
    const report = (at: readonly PathPart[], message: string): void => void faults.push({ at: [name, ...at], message });
    checkNames(name, one, { owners, report });
    checkLife(one, today, report);
    if (!name.includes(one.line)) report(["line"], "is not in the model's name");
    if (one.max_tokens > one.max_input_tokens) report(["max_tokens"], "is more than the context");
    checkPrices(one.prices ?? [], today, report);
  }
  return faults;
}

type Report = (at: readonly PathPart[], message: string) => void;

/** Also the names that are derived: one of them may not lead elsewhere. */
function checkNames(
  name: string,
  { aliases = [] }: BuiltinModel,
  { owners, report }: { readonly owners: Map<string, string>; readonly report: Report },
): void {
  for (const alias of [...aliases, ...creatorForms(name)]) {
    const owner = owners.get(alias);
    if (owner !== undefined) report(["aliases"], `\`${alias}\` is a name of \`${owner}\` already`);
    owners.set(alias, name);
  }
}

function checkLife(
  { created_at: created, retires_at: retires, lifecycle = "active" }: BuiltinModel,
  today: string,
  report: Report,
): void {
  checkDate(created, ["created_at"], report);
  checkDate(retires, ["retires_at"], report);
  if (created !== undefined && created > today) report(["created_at"], "is in the future");
  if (retires === undefined) return;
  if (lifecycle === "active") report(["lifecycle"], "is active, but the day it retires is known");
  if (retires <= today && lifecycle !== "retired") report(["lifecycle"], `has to be retired since ${retires}`);
}

function checkDate(written: string | undefined, at: readonly PathPart[], report: Report): void {
  // A day that does not exist is moved on to one that does.
  const isDay = written === undefined || toDay(Date.parse(`${written}T00:00:00Z`)) === written;
  if (!isDay) report(at, "there is no such day");
}

function toDay(ms: number): string {
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString().slice(0, 10);
}

function checkPrices(prices: readonly BuiltinPrice[], today: string, report: Report): void {
  for (const [index, one] of prices.entries()) {
    const at = ["prices", index];
    const { checked, rates: usual, long_prompt: long } = one;
    checkDate(one.since, [...at, "since"], report);
    checkDate(checked, [...at, "checked"], report);
    if (checked > today) report([...at, "checked"], "is in the future");
    const order = misordered(one, prices[index - 1], index === prices.length - 1);
    if (order !== undefined) report([...at, "since"], order);
    checkRates(usual, [...at, "rates"], report);
    if (long) checkRates(long.rates, [...at, "long_prompt", "rates"], report);
    if (long && long.rates.input < usual.input) report([...at, "long_prompt"], "is cheaper than a short one");
  }
}

/** Newest first, each but the oldest with its day. */
function misordered({ since }: BuiltinPrice, newer: BuiltinPrice | undefined, isOldest: boolean): string | undefined {
  if (isOldest) return since === undefined ? undefined : "what the model cost before is missing";
  if (since === undefined) return "is missing: only the oldest price is from the beginning";
  const isOlder = newer?.since === undefined || since < newer.since;
  return isOlder ? undefined : "is not older than the price before it";
}

/** A cell in the wrong column is seen by this. */
function checkRates(given: BuiltinRates, at: readonly PathPart[], report: Report): void {
  if (given.output < given.input) report([...at, "output"], "is less than input");
  if (given.cache_read > given.input) report([...at, "cache_read"], "is more than input");
  if (given.cache_write_5m < given.input) report([...at, "cache_write_5m"], "is less than input");
  if (given.cache_write_1h < given.cache_write_5m) report([...at, "cache_write_1h"], "is less than for 5 minutes");
}
