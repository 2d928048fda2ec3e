import { hash } from "node:crypto";
import type { Prompt, PromptTool, ToolChoice } from "../../answer/prompt.ts";
import type { PromptPart } from "../../answer/prompt-cache.ts";
import { textOf, toBlocks, type Message, type MessagesRequest } from "./messages-request.ts";
import { asArray, asObject, isObject, type Json } from "../json.ts";

/** Models that show their reasoning unless they are told to omit it; newer ones are the other way round. */
const showsThinking = /claude-(?:3|opus-4-[1-6]|opus-4-\d{8}|sonnet-4|haiku-4)/;

/** What a simulated model has to know of a request. */
export function readPrompt(request: MessagesRequest): Prompt {
  const { body } = request;
  const turn = lastUserTurn(request.messages);
  const format = asObject(asObject(body["output_config"])["format"])["schema"];
  return {
    text: turnText(turn),
    toolResults: turn
      .filter((block) => block["type"] === "tool_result")
      .map((block) => textOf(toBlocks(block["content"]))),
    tools: request.tools.map(readTool).filter((tool) => tool !== undefined),
    toolChoice: readToolChoice(body),
    ...(format === undefined ? {} : { format }),
    thinking: readThinking(request),
    maxTokens: request.maxTokens,
    stopSequences: asArray(body["stop_sequences"]).map(String),
  };
}

/** The text of the last user turn, without what an agent's harness puts into it; markers are looked for here. */
export function promptText(messages: readonly Message[]): string {
  return turnText(lastUserTurn(messages));
}

/** The prompt in the order in which it is cached. Texts, not tokens: what they are worth is the cache's business. */
export function cacheParts(request: MessagesRequest): PromptPart[] {
  const blocks: unknown[] = [...asArray(request.body["tools"]), ...toBlocks(request.body["system"])];
  for (const message of request.messages) blocks.push(...message.blocks);
  const parts = blocks.map((block) => ({
    json: cacheText(block),
    cacheTtl: readTtl(asObject(block)["cache_control"]),
  }));
  const last = parts.at(-1);
  const automatic = readTtl(request.body["cache_control"]);
  if (last && automatic !== undefined) last.cacheTtl ??= automatic;
  return parts;
}

/** A mark is no part of what is cached: it may move on from turn to turn. */
function cacheText(block: unknown): string {
  const { cache_control: _, ...rest } = asObject(block);
  return rest["type"] === "text" && typeof rest["text"] === "string" ? rest["text"] : JSON.stringify(rest, shorten);
}

/** A picture is worth no more than 1,568 tokens, however many bytes it has. */
const mostDataCharacters = 1568 * 4;

function shorten(name: string, value: unknown): unknown {
  if (name !== "data" || typeof value !== "string" || value.length <= mostDataCharacters) return value;
  return hash("sha256", value).padEnd(mostDataCharacters);
}

function lastUserTurn(messages: readonly Message[]): Json[] {
  const turn: Json[] = [];
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index] as Message;
    if (message.role === "assistant") break;
    if (message.role === "user") turn.unshift(...message.blocks);
  }
  return turn;
}

function turnText(turn: readonly Json[]): string {
  return textOf(turn.filter((block) => !String(block["text"]).startsWith("<system-reminder>")));
}

/** Tools the caller runs; what the provider runs itself is not simulated. */
function readTool(tool: Json): PromptTool | undefined {
  const { name, type, input_schema: schema } = tool;
  if (typeof name !== "string") return undefined;
  if (schema !== undefined) return { name, schema };
  const builtIn = Object.keys(builtInSchemas).find((prefix) => String(type).startsWith(prefix));
  return builtIn === undefined ? undefined : { name, schema: builtInSchemas[builtIn] };
}

const builtInSchemas: Readonly<Record<string, unknown>> = {
  bash_: { type: "object", properties: { command: { type: "string" } } },
  text_editor_: { type: "object", properties: { command: { const: "view" }, path: { type: "string" } } },
  memory_: { type: "object", properties: { command: { const: "view" }, path: { const: "/memories" } } },
  computer_: { type: "object", properties: { action: { const: "screenshot" } } },
};

function readToolChoice(body: Json): ToolChoice {
  const { type, name } = asObject(body["tool_choice"]);
  if (type === "tool") return { type, name: String(name) };
  return type === "any" || type === "none" ? { type } : { type: "auto" };
}

function readThinking({ body, model }: MessagesRequest): Prompt["thinking"] {
  const { type, display } = asObject(body["thinking"]);
  if (type === undefined || type === "disabled") return "off";
  if (display === undefined) return showsThinking.test(model) ? "summarized" : "omitted";
  return display === "omitted" ? "omitted" : "summarized";
}

function readTtl(mark: unknown): "5m" | "1h" | undefined {
  if (!isObject(mark)) return undefined;
  return mark["ttl"] === "1h" ? "1h" : "5m";
}
