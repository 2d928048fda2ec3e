import { isSigned } from "../../answer/signature.ts";
import { ChatApiError } from "../openai/chat-api-error.ts";
import { asArray, asObject, isObject, type Json } from "../json.ts";

/** A body whose shape was checked. */
export interface ResponsesRequest {
  readonly operation: "create" | "count";
  readonly body: Json;
  readonly model: string;
  readonly input: readonly Json[];
  readonly tools: readonly Json[];
  readonly stream: boolean;
}

/** Members of both operations. */
const promptMembers = (
  "model input instructions tools tool_choice parallel_tool_calls reasoning text truncation conversation " +
  "previous_response_id personality"
).split(" ");
const answerMembers = (
  "background context_management include max_output_tokens metadata moderation prompt prompt_cache_key " +
  "prompt_cache_options prompt_cache_retention safety_identifier service_tier store stream stream_options temperature " +
  "top_logprobs top_p user"
).split(" ");
const membersOf = {
  count: new Set(promptMembers),
  create: new Set([...promptMembers, ...answerMembers].filter((name) => name !== "personality")),
} as const;

const fewestTokens = 16;
const toolName = /^[a-zA-Z0-9_-]{1,64}$/;

/**
 * Checks what the vendor checks: members and items it knows, calls with their outputs, names, lengths, and reasoning
 * that is as it was given.
 * @throws ChatApiError 400
 */
export function readResponsesRequest(body: Json, operation: ResponsesRequest["operation"]): ResponsesRequest {
  for (const param of Object.keys(body))
    if (!membersOf[operation].has(param))
      throw new ChatApiError(400, `Unknown parameter: '${param}'.`, { param, code: "unknown_parameter" });
  const { model } = body;
  if (typeof model !== "string") throw missing("model");
  const input =
    typeof body["input"] === "string" ? [textMessage(body["input"])] : asArray(body["input"]).filter(isObject);
  if (input.length === 0) throw missing("input");
  for (const [index, item] of input.entries()) checkItem(item, `input[${index}]`);
  checkPairing(input);
  const tools = asArray(body["tools"]).filter(isObject);
  checkTools(body, tools);
  const most = body["max_output_tokens"];
  if (typeof most === "number" && most < fewestTokens)
    throw new ChatApiError(
      400,
      `Invalid 'max_output_tokens': integer below minimum value. Expected a value >= ${fewestTokens}, but got ${most} instead.`,
      { param: "max_output_tokens", code: "integer_below_min_value" },
    );
  return { operation, body, model, input, tools, stream: body["stream"] === true };
}

function textMessage(content: string): Json {
  return { role: "user", content };
}

function missing(param: string): ChatApiError {
  return new ChatApiError(400, `Missing required parameter: '${param}'.`, {
    param,
    code: "missing_required_parameter",
  });
}

function checkItem(item: Json, param: string): void {
  const { type } = item;
  if (type === undefined || type === "message") checkMessage(item, param);
  else if (type === "reasoning") checkReasoning(item);
  else if (type === "function_call_output") checkParts(item["output"], inputParts, `${param}.output`);
  else if (type !== "function_call") throw badValue(type, param);
}

const inputParts: ReadonlySet<unknown> = new Set(["input_text", "input_image", "input_file"]);
const outputParts: ReadonlySet<unknown> = new Set(["output_text", "refusal"]);
const roles: ReadonlySet<unknown> = new Set(["user", "assistant", "system", "developer"]);

function checkMessage({ role, content }: Json, param: string): void {
  if (!roles.has(role)) throw badValue(role, `${param}.role`);
  checkParts(content, role === "assistant" ? outputParts : inputParts, `${param}.content`);
}

function checkParts(content: unknown, known: ReadonlySet<unknown>, param: string): void {
  if (typeof content === "string") return;
  if (!Array.isArray(content)) throw missing(param);
  for (const [index, part] of content.entries()) {
    const { type } = asObject(part);
    if (!known.has(type)) throw badValue(type, `${param}[${index}]`);
  }
}

function badValue(value: unknown, param: string): ChatApiError {
  return new ChatApiError(400, `Invalid value: '${String(value)}'.`, { param, code: "invalid_value" });
}

/** Nothing is stored, so an item has to carry its own content, and no other's. */
function checkReasoning({ id, summary, encrypted_content: encrypted }: Json): void {
  if (typeof encrypted !== "string")
    throw new ChatApiError(
      400,
      `Item with id '${String(id)}' not found. Items are not persisted when \`store\` is set to false.`,
    );
  const shown = asArray(summary).map((part) => asObject(part)["text"]);
  if (!isSigned(shown.join("\n\n"), encrypted))
    throw new ChatApiError(400, `The encrypted content for item ${String(id)} could not be verified.`, {
      code: "invalid_encrypted_content",
    });
}

function checkPairing(input: readonly Json[]): void {
  const idsOf = (type: string): string[] =>
    input.filter((item) => item["type"] === type).map(({ call_id: id }) => (typeof id === "string" ? id : ""));
  const [calls, outputs] = [idsOf("function_call"), idsOf("function_call_output")];
  const open = calls.find((id) => !outputs.includes(id));
  if (open !== undefined) throw new ChatApiError(400, `No tool output found for function call ${open}.`);
  const strange = outputs.find((id) => !calls.includes(id));
  if (strange !== undefined)
    throw new ChatApiError(400, `No tool call found for function call output with call_id ${strange}.`);
}

function checkTools(body: Json, tools: readonly Json[]): void {
  for (const [index, { type, name, parameters }] of tools.entries()) {
    const param = `tools[${index}]`;
    if (type !== "function") throw badValue(type, `${param}.type`);
    if (typeof name !== "string" || !toolName.test(name))
      throw new ChatApiError(400, `Invalid '${param}.name': string does not match pattern.`, { param });
    const schema = asObject(parameters);
    if (schema["type"] === "object" && !isObject(schema["properties"]))
      throw new ChatApiError(400, `Invalid schema for function '${name}': object schema missing properties.`, {
        param,
      });
  }
  const choice = body["tool_choice"];
  if (tools.length === 0 && choice !== undefined && choice !== "auto" && choice !== "none")
    throw new ChatApiError(400, "Tool choice 'required' must be specified with 'tools' parameter.", {
      param: "tool_choice",
    });
}
