import { isSigned } from "../../answer/signature.ts";
import { ApiError } from "./api-error.ts";
import { toBlocks, type Message, type MessagesRequest } from "./messages-request.ts";
import { asArray, asObject, isObject, type Json } from "../json.ts";

export interface CheckOptions {
  readonly version: string;
  readonly betas: ReadonlySet<string>;
  readonly operation: "messages" | "count_tokens";
  /** The most output tokens of a model; undefined for one that is not there. */
  readonly maxTokensOf: (model: string) => number | undefined;
  /** What a thread already holds, in front of the messages of the body. */
  readonly history: readonly unknown[];
}

export const threadsBeta = "message-threads-2026-08-12";

const known = new Set(
  (
    "model max_tokens messages system cache_control container diagnostics inference_geo metadata output_config " +
    "service_tier speed stop_sequences stream thinking tool_choice tools temperature top_p top_k context_management " +
    "compaction mcp_servers fallbacks fallback_credit_token billing_policy thread output_format"
  ).split(" "),
);
const samplingFields = ["temperature", "top_p", "top_k"];
const toolName = /^[a-zA-Z0-9_-]{1,128}$/;
const mostMessages = 100_000;

/** A body as the API would take it. Throws the ApiError the API would answer, in about its words. */
export function checkRequest(body: Json, options: CheckOptions): MessagesRequest {
  checkFields(body, options);
  const model = checkModel(body, options);
  const maxTokens = checkMaxTokens(body, model, options);
  const messages = checkMessages(body, options.history);
  checkToolPairs(messages);
  const tools = checkTools(body);
  checkThinking(body, maxTokens);
  checkCacheMarks(body, messages);
  return { body, model, maxTokens, messages, tools, stream: body["stream"] === true };
}

function checkFields(body: Json, { version, betas }: CheckOptions): void {
  for (const field of Object.keys(body)) {
    const removed = version === "2026-10-21" && samplingFields.includes(field);
    const locked = field === "thread" && !betas.has(threadsBeta);
    if (removed || locked || !known.has(field)) throw new ApiError(400, `${field}: Extra inputs are not permitted`);
  }
  for (const field of ["temperature", "top_p"]) checkShare(field, body[field]);
  if (!["boolean", "undefined"].includes(typeof body["stream"]))
    throw new ApiError(400, "stream: Input should be a valid boolean");
}

function checkShare(field: string, value: unknown): void {
  if (value === undefined || (typeof value === "number" && value >= 0 && value <= 1)) return;
  throw new ApiError(400, `${field}: Input should be between 0 and 1`);
}

function checkModel(body: Json, { maxTokensOf }: CheckOptions): string {
  const model = body["model"];
  if (model === undefined) throw new ApiError(400, "model: Field required");
  if (typeof model !== "string") throw new ApiError(400, "model: Input should be a valid string");
  if (maxTokensOf(model) === undefined) throw new ApiError(404, `model: ${model}`);
  return model;
}

function checkMaxTokens(body: Json, model: string, { operation, maxTokensOf }: CheckOptions): number {
  if (operation === "count_tokens") return 1;
  const maxTokens = body["max_tokens"];
  if (maxTokens === undefined) throw new ApiError(400, "max_tokens: Field required");
  if (typeof maxTokens !== "number" || !Number.isInteger(maxTokens))
    throw new ApiError(400, "max_tokens: Input should be a valid integer");
  if (maxTokens < 0) throw new ApiError(400, "max_tokens: Input should be greater than or equal to 0");
  if (maxTokens === 0 && body["stream"] === true)
    throw new ApiError(400, "max_tokens: must be greater than 0 when streaming");
  const most = maxTokensOf(model) ?? Infinity;
  if (maxTokens > most)
    throw new ApiError(
      400,
      `max_tokens: ${maxTokens} > ${most}, which is the maximum allowed number of output tokens for ${model}`,
    );
  return maxTokens;
}

function checkMessages(body: Json, history: readonly unknown[]): Message[] {
  const sent = body["messages"];
  if (sent === undefined) throw new ApiError(400, "messages: Field required");
  if (!Array.isArray(sent)) throw new ApiError(400, "messages: Input should be a valid list");
  if (sent.length > mostMessages)
    throw new ApiError(
      400,
      `messages: List should have at most ${mostMessages} items after validation, not ${sent.length}`,
    );
  const all = [...history, ...(sent as readonly unknown[])];
  if (all.length === 0) throw new ApiError(400, "messages: at least one message is required");
  return all.map((message, index) => checkMessage(message, index));
}

function checkMessage(value: unknown, index: number): Message {
  const at = `messages.${index}`;
  if (!isObject(value)) throw new ApiError(400, `${at}: Input should be a valid dictionary`);
  const { role, content } = value;
  if (role !== "user" && role !== "assistant" && role !== "system")
    throw new ApiError(400, `${at}.role: Input should be 'user', 'assistant' or 'system'`);
  if (content === undefined) throw new ApiError(400, `${at}.content: Field required`);
  if (typeof content !== "string" && !Array.isArray(content))
    throw new ApiError(400, `${at}.content: Input should be a valid list`);
  const blocks = toBlocks(content);
  for (const [position, block] of blocks.entries()) checkBlock(block, `${at}.content.${position}`, role);
  return { role, blocks };
}

function checkBlock(block: Json, at: string, role: string): void {
  if (typeof block["type"] !== "string") throw new ApiError(400, `${at}.type: Field required`);
  if (block["type"] === "text" && block["text"] === "" && role === "user")
    throw new ApiError(400, "messages: text content blocks must be non-empty");
  if (block["type"] === "thinking" && !isSigned(String(block["thinking"]), String(block["signature"])))
    throw new ApiError(400, `${at}: Invalid \`signature\` in \`thinking\` block`);
}

function checkToolPairs(messages: readonly Message[]): void {
  for (const [index, { blocks }] of messages.entries()) {
    const calls = blocks.filter((block) => block["type"] === "tool_use").map((block) => block["id"]);
    if (calls.length === 0) continue;
    const results = new Set((messages[index + 1]?.blocks ?? []).map((block) => block["tool_use_id"]));
    const missing = calls.filter((id) => !results.has(id));
    if (missing.length > 0)
      throw new ApiError(
        400,
        `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(", ")}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
      );
  }
}

function checkTools(body: Json): Json[] {
  const tools = asArray(body["tools"]).filter(isObject);
  const names = new Set<unknown>();
  for (const [index, tool] of tools.entries()) {
    const name = tool["name"];
    if (name === undefined && tool["type"] !== undefined && tool["type"] !== "custom") continue;
    if (typeof name !== "string" || !toolName.test(name))
      throw new ApiError(400, `tools.${index}.custom.name: String should match pattern '${toolName.source}'`);
    if (names.has(name)) throw new ApiError(400, "tools: Tool names must be unique.");
    names.add(name);
  }
  return tools;
}

function checkThinking(body: Json, maxTokens: number): void {
  const thinking = asObject(body["thinking"]);
  if (thinking["type"] !== "enabled") return;
  const budget = Number(thinking["budget_tokens"]);
  if (!(budget >= 1024))
    throw new ApiError(400, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
  if (budget >= maxTokens) throw new ApiError(400, "`max_tokens` must be greater than `thinking.budget_tokens`");
  const choice = asObject(body["tool_choice"])["type"];
  if (choice === "any" || choice === "tool")
    throw new ApiError(400, "Thinking may not be enabled when tool_choice forces tool use.");
}

function checkCacheMarks(body: Json, messages: readonly Message[]): void {
  const blocks = [...asArray(body["tools"]), ...toBlocks(body["system"]), ...messages.flatMap(({ blocks }) => blocks)];
  const marks = blocks.filter((block) => isObject(asObject(block)["cache_control"])).length;
  if (marks > 4) throw new ApiError(400, `A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`);
}
