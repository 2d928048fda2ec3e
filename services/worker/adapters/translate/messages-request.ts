import type { Operation } from "#shared/messages/call.ts";
import { readBlocks, type Block, type TextBlock } from "./read-blocks.ts";
import { readTools, readToolChoice, type Tool, type ToolChoice } from "./read-tools.ts";
import { isAbsent, isClaudeModel, Reading, type Fields } from "./reading.ts";

/** A Messages body, read and checked for a wire that is not Claude's. */
export interface MessagesRequest {
  readonly system: readonly TextBlock[];
  readonly turns: readonly Turn[];
  /** 1 for a count, which has none. */
  readonly maxTokens: number;
  readonly stream: boolean;
  readonly tools: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly thinking?: Thinking;
  readonly effort?: string;
  /** JSON Schema that the answer's text has to follow. */
  readonly format?: Fields;
  readonly stopSequences: readonly string[];
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  /** Set when the conversation ends with the assistant's words, which the answer should go on from: where they stand. */
  readonly prefillPath?: string;
}

/** Neighbours of one role are one turn, as the API has it; `system` stands in the middle of a conversation. */
export interface Turn {
  readonly role: "user" | "assistant" | "system";
  readonly blocks: readonly Block[];
}

interface Thinking {
  readonly type: "on" | "off";
  /** Tokens; absent where the model decides. */
  readonly budget?: number;
  /** Whether the answer is to show it; what a wire cannot keep to, its encoder notes. */
  readonly display?: string;
}

/** What of `askedModel` and the body matters here. */
export interface RequestSource {
  readonly askedModel: string;
  readonly operation: Operation;
  readonly body: Buffer;
}

/**
 * Reads the body and begins the notes for the trace. Members that no wire but Claude's has are refused, or noted where
 * another family stands in for Claude; what only some wires lack is left to their encoders.
 * @throws GatewayError `invalid_request` naming the member.
 */
export function readMessagesRequest({ askedModel, operation, body }: RequestSource): {
  readonly request: MessagesRequest;
  readonly reading: Reading;
} {
  const reading = new Reading(isClaudeModel(askedModel));
  const fields = reading.fields(parse(reading, body), "body");
  checkMembers(reading, fields);
  const tools = readTools(reading, fields["tools"]);
  const turns = readTurns(reading, fields["messages"]);
  const last = turns.at(-1);
  const request: MessagesRequest = {
    system: readSystem(reading, fields["system"]),
    turns,
    tools,
    maxTokens: operation === "count_tokens" ? 1 : readMaxTokens(reading, fields["max_tokens"]),
    stream: fields["stream"] === true,
    stopSequences: readStopSequences(reading, fields["stop_sequences"]),
    ...readOutput(reading, fields),
    ...present("toolChoice", readToolChoice(reading, fields["tool_choice"], tools)),
    ...present("thinking", readThinking(reading, fields["thinking"])),
    ...present("temperature", reading.optionalNumber(fields["temperature"], "temperature")),
    ...present("topP", reading.optionalNumber(fields["top_p"], "top_p")),
    ...present("topK", reading.optionalNumber(fields["top_k"], "top_k")),
    ...present("prefillPath", last?.role === "assistant" ? (last.blocks.at(-1)?.path ?? "messages") : undefined),
  };
  return { request, reading };
}

/** A member to spread; none for undefined. */
export function present<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [Key in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: Value };
}

function parse(reading: Reading, body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    return reading.refuse("body", "not valid JSON");
  }
}

const readElsewhere = [
  "model",
  "messages",
  "system",
  "max_tokens",
  "stream",
  "stop_sequences",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "output_format",
  "temperature",
  "top_p",
  "top_k",
  "providerOptions",
];
/** Say nothing about what the answer should be. */
const hints = ["metadata", "diagnostics", "service_tier", "anthropic_beta"];
/** Another family can go on without. */
const adaptable = ["speed", "context_management", "mcp_servers", "fallbacks", "fallback_credit_token"];
const known = new Set([...readElsewhere, ...hints, ...adaptable, "inference_geo"]);

function checkMembers(reading: Reading, fields: Fields): void {
  reading.onlyMembers(fields, known, "");
  for (const name of hints) if (!isAbsent(fields[name])) reading.drop(name);
  for (const name of adaptable) if (asksSomething(fields[name])) reading.adaptOrRefuse(`${name} left out`, name);
  // Where the call is worked on is a promise, no hint.
  const geo = fields["inference_geo"];
  if (!isAbsent(geo) && geo !== "global") reading.refuse("inference_geo", "this provider cannot promise it");
}

function asksSomething(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return !isAbsent(value) && value !== "standard";
}

function readMaxTokens(reading: Reading, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  // Zero fills a prompt cache, which is Claude's own.
  return reading.refuse("max_tokens", "Input should be a whole number greater than 0");
}

function readStopSequences(reading: Reading, value: unknown): string[] {
  if (isAbsent(value)) return [];
  return reading.list(value, "stop_sequences").map((item, index) => reading.text(item, `stop_sequences.${index}`));
}

function readSystem(reading: Reading, value: unknown): TextBlock[] {
  if (isAbsent(value)) return [];
  return onlyTexts(reading, readBlocks(reading, value, "system"));
}

function onlyTexts(reading: Reading, blocks: readonly Block[]): TextBlock[] {
  return blocks.map((block) =>
    block.type === "text" ? block : reading.refuse(block.path, "Input should be a text block"),
  );
}

const messageMembers = new Set(["role", "content", "clear_at", "output_config"]);
const roles = new Set(["user", "assistant", "system"]);

function readTurns(reading: Reading, value: unknown): Turn[] {
  const turns: { role: Turn["role"]; blocks: Block[] }[] = [];
  for (const [index, item] of reading.list(value, "messages").entries()) {
    const path = `messages.${index}`;
    const fields = reading.fields(item, path);
    reading.onlyMembers(fields, messageMembers, path);
    for (const name of ["clear_at", "output_config"])
      if (!isAbsent(fields[name])) reading.adaptOrRefuse(`${name} of a message left out`, `${path}.${name}`);
    const role = reading.text(fields["role"], `${path}.role`);
    if (!roles.has(role)) reading.refuse(`${path}.role`, "Input should be user, assistant or system");
    const blocks = readBlocks(reading, fields["content"], `${path}.content`);
    checkPlaces(reading, role, blocks);
    const last = turns.at(-1);
    if (last?.role === role) last.blocks.push(...blocks);
    else turns.push({ role: role as Turn["role"], blocks });
  }
  if (turns.length === 0) reading.refuse("messages", "at least one message is required");
  return turns;
}

const placesOf: Readonly<Record<string, ReadonlySet<string>>> = {
  user: new Set(["text", "image", "document", "search_result", "tool_result"]),
  assistant: new Set(["text", "thinking", "tool_use"]),
  system: new Set(["text"]),
};

function checkPlaces(reading: Reading, role: string, blocks: readonly Block[]): void {
  for (const { type, path } of blocks)
    if (!placesOf[role]?.has(type)) reading.refuse(path, `\`${type}\` cannot be said by the ${role} at this provider`);
}

function readThinking(reading: Reading, value: unknown): Thinking | undefined {
  if (isAbsent(value)) return undefined;
  const fields = reading.fields(value, "thinking");
  reading.onlyMembers(fields, new Set(["type", "budget_tokens", "display", "block_binding"]), "thinking");
  const type = reading.text(fields["type"], "thinking.type");
  if (type === "disabled") return { type: "off" };
  const display = reading.optionalText(fields["display"], "thinking.display");
  const budget = reading.optionalNumber(fields["budget_tokens"], "thinking.budget_tokens");
  return { type: "on", ...present("budget", type === "enabled" ? budget : undefined), ...present("display", display) };
}

function readOutput(reading: Reading, fields: Fields): Pick<MessagesRequest, "effort" | "format"> {
  const config = isAbsent(fields["output_config"]) ? {} : reading.fields(fields["output_config"], "output_config");
  reading.onlyMembers(config, new Set(["effort", "format", "task_budget"]), "output_config");
  if (!isAbsent(config["task_budget"]))
    reading.adaptOrRefuse("output_config.task_budget left out", "output_config.task_budget");
  const name = isAbsent(config["format"]) ? "output_format" : "output_config.format";
  const format = config["format"] ?? fields["output_format"];
  return {
    ...present("effort", reading.optionalText(config["effort"], "output_config.effort")),
    ...present("format", isAbsent(format) ? undefined : readFormat(reading, format, name)),
  };
}

function readFormat(reading: Reading, value: unknown, path: string): Fields {
  const fields = reading.fields(value, path);
  if (fields["type"] !== "json_schema") reading.refuse(`${path}.type`, "Input should be json_schema");
  return reading.fields(fields["schema"], `${path}.schema`);
}
