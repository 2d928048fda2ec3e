import type { Operation } from "#shared/messages/call.ts";
import type { CatalogueModel } from "#shared/routing/catalogue.ts";
import { foreignSignaturePrefix } from "../adapters/translate/foreign-thinking.ts";
import { isFields, type Fields } from "../adapters/translate/reading.ts";
import { adaptThinking, stripThinking } from "./adapt-thinking.ts";
import { adaptTools } from "./adapt-tools.ts";
import type { Draft } from "./draft.ts";

/** What the served model and its wire take. */
export interface Surroundings {
  readonly operation: Operation;
  /** A provider's type; `bedrock/mantle` has rules of its own. */
  readonly wire: string;
  /** The model that stands in for the one that was asked for; undefined where that one is served itself. */
  readonly standIn: Pick<CatalogueModel, "refuses" | "info"> | undefined;
  /** Whether it is a Claude; others who speak the API may want unsigned reasoning back. */
  readonly isClaude: boolean;
}

export interface AdaptedBody {
  readonly body: Buffer;
  readonly notes: readonly string[];
}

const foreignTag = Buffer.from(`"${foreignSignaturePrefix}`);

const unsigned = [Buffer.from('"signature":""'), Buffer.from('"signature": ""')];

/** Whether reasoning of a model that is not Claude may be in a body; a search over its bytes. */
export function mayHoldForeignThinking(body: Buffer): boolean {
  return body.includes(foreignTag) || unsigned.some((bytes) => body.includes(bytes));
}

/**
 * A checked body as a Claude wire takes it: without reasoning that no Claude has signed, and, where another model
 * stands in, without what that one would refuse. Undefined when the body can stay as it is. Pure.
 */
export function adaptBody(bytes: Buffer, given: Surroundings): AdaptedBody | undefined {
  const draft: Draft = { body: JSON.parse(bytes.toString("utf8")) as Record<string, unknown>, notes: new Set() };
  stripThinking(draft, given.standIn ? "all" : given.isClaude ? "foreign or unsigned" : "foreign");
  if (given.standIn) {
    const { refuses, info } = given.standIn;
    adaptThinking(draft, refuses);
    adaptTools(draft, { wire: given.wire, refuses });
    if (refuses.has("sampling")) dropSampling(draft);
    if (refuses.has("prefill") && given.operation === "messages") turnPrefill(draft);
    adaptEffort(draft, info);
    capTokens(draft, info.max_tokens);
  }
  if (draft.notes.size === 0) return undefined;
  return { body: Buffer.from(JSON.stringify(draft.body)), notes: [...draft.notes] };
}

function dropSampling({ body, notes }: Draft): void {
  for (const name of ["temperature", "top_p", "top_k"]) {
    if (body[name] === undefined) continue;
    delete body[name];
    notes.add(`dropped: ${name}`);
  }
}

const goOn = "Go on from exactly where your answer above ends. Do not repeat any of it.";

/** An answer that the caller has begun is gone on with in a turn of its own. */
function turnPrefill({ body, notes }: Draft): void {
  const messages = body["messages"];
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  if (!Array.isArray(messages) || !isFields(last) || last["role"] !== "assistant") return;
  messages.push({ role: "user", content: goOn });
  notes.add("adapted: prefill");
}

const efforts = ["low", "medium", "high", "xhigh", "max"];

/** The next lower effort that the model knows; none where it knows none. */
function adaptEffort({ body, notes }: Draft, { capabilities }: CatalogueModel["info"]): void {
  const config = body["output_config"];
  const known = capabilities?.["effort"];
  if (!isFields(config) || typeof config["effort"] !== "string" || !isFields(known)) return;
  const { effort, ...rest } = config;
  const takes = (level: string): boolean => isFields(known[level]) && known[level]["supported"] === true;
  if (takes(effort)) return;
  const lower = efforts.slice(0, efforts.indexOf(effort) + 1).findLast(takes);
  body["output_config"] = lower === undefined ? rest : { ...rest, effort: lower };
  if (lower === undefined && Object.keys(rest).length === 0) delete body["output_config"];
  notes.add("adapted: output_config.effort");
}

function capTokens({ body, notes }: Draft, most: number | null): void {
  const asked = body["max_tokens"];
  if (most === null || typeof asked !== "number" || asked <= most) return;
  body["max_tokens"] = most;
  notes.add("adapted: max_tokens");
  const { thinking } = body as { thinking?: Fields };
  if (isFields(thinking) && Number(thinking["budget_tokens"]) >= most)
    body["thinking"] = { ...thinking, budget_tokens: most - 1 };
}
