import { ChatApiError } from "./chat-api-error.ts";
import { asArray, asObject, isObject, type Json } from "../json.ts";

/** A body whose shape was checked. */
export interface ChatRequest {
  readonly body: Json;
  readonly model: string;
  readonly messages: readonly Json[];
  readonly tools: readonly Json[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

const bodyMembers = new Set(
  (
    "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens " +
    "max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key " +
    "prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier " +
    "stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options"
  ).split(" "),
);
const messageMembers = new Set(
  "role content name tool_calls tool_call_id refusal audio function_call reasoning_content reasoning".split(" "),
);
const roles = new Set(["developer", "system", "user", "assistant", "tool"]);
const toolName = /^[a-zA-Z0-9_-]{1,64}$/;
const maxStops = 4;
const maxToolIdLength = 40;

/**
 * Checks what the vendor checks: members it knows, roles, calls with their results right behind them, names, lengths.
 * @throws ChatApiError 400
 */
export function readChatRequest(body: Json): ChatRequest {
  for (const name of Object.keys(body))
    if (!bodyMembers.has(name)) throw new ChatApiError(400, `Unrecognized request argument supplied: ${name}`);
  const { model } = body;
  if (typeof model !== "string") throw new ChatApiError(400, "you must provide a model parameter");
  const messages = asArray(body["messages"]).filter(isObject);
  if (messages.length === 0)
    throw new ChatApiError(400, "Missing required parameter: 'messages'.", { param: "messages" });
  checkMessages(messages);
  const tools = asArray(body["tools"]).filter(isObject);
  checkTools(body, tools);
  checkOptions(body);
  const stream = body["stream"] === true;
  return {
    body,
    model,
    messages,
    tools,
    stream,
    includeUsage: asObject(body["stream_options"])["include_usage"] === true,
  };
}

function checkMessages(messages: readonly Json[]): void {
  let open = new Set<unknown>();
  for (const [index, message] of messages.entries()) {
    const param = `messages.[${index}]`;
    for (const name of Object.keys(message))
      if (!messageMembers.has(name))
        throw new ChatApiError(400, `Additional properties are not allowed ('${name}' was unexpected) - '${param}'`);
    const { role } = message;
    if (typeof role !== "string" || !roles.has(role))
      throw new ChatApiError(400, `Invalid value: '${String(role)}'.`, { param: `${param}.role` });
    open = checkPairing(message, open, param);
  }
  if (open.size > 0) throw unanswered([...open]);
}

/** @returns the calls that still have to be answered behind this message */
function checkPairing(message: Json, open: Set<unknown>, param: string): Set<unknown> {
  if (message["role"] === "tool") {
    if (!open.delete(message["tool_call_id"]))
      throw new ChatApiError(
        400,
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        { param: `${param}.role` },
      );
    return open;
  }
  if (open.size > 0) throw unanswered([...open]);
  const calls = asArray(message["tool_calls"]).filter(isObject);
  if (message["role"] === "assistant" && calls.length === 0 && isAbsent(message["content"]))
    throw new ChatApiError(400, `Invalid value for 'content': expected a string, got null.`, { param });
  for (const { id } of calls)
    if (typeof id !== "string" || id.length > maxToolIdLength)
      throw new ChatApiError(400, `Invalid '${param}.tool_calls[0].id': string too long.`, { param });
  return new Set(calls.map(({ id }) => id));
}

function unanswered(ids: readonly unknown[]): ChatApiError {
  return new ChatApiError(
    400,
    `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${ids.join(", ")}`,
  );
}

function checkTools(body: Json, tools: readonly Json[]): void {
  for (const [index, tool] of tools.entries()) {
    const fn = asObject(tool["function"]);
    const param = `tools[${index}].function`;
    if (tool["type"] !== "function" || typeof fn["name"] !== "string" || !toolName.test(fn["name"]))
      throw new ChatApiError(400, `Invalid '${param}.name': string does not match pattern.`, { param });
    const parameters = asObject(fn["parameters"]);
    if (parameters["type"] === "object" && !isObject(parameters["properties"]))
      throw new ChatApiError(400, `Invalid schema for function '${fn["name"]}': object schema missing properties.`, {
        param,
      });
  }
  if (tools.length > 0) return;
  for (const name of ["tool_choice", "parallel_tool_calls"])
    if (!isAbsent(body[name])) throw new ChatApiError(400, `'${name}' is only allowed when 'tools' are specified.`);
}

function checkOptions(body: Json): void {
  if (asArray(body["stop"]).length > maxStops)
    throw new ChatApiError(400, `Invalid 'stop': array too long. Expected an array with maximum length ${maxStops}.`);
  if (!isAbsent(body["stream_options"]) && body["stream"] !== true)
    throw new ChatApiError(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
  if (!isAbsent(body["max_tokens"]) && !isAbsent(body["max_completion_tokens"]))
    throw new ChatApiError(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.");
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}
