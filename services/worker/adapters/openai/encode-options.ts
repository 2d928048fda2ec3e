import { present, type MessagesRequest } from "../translate/messages-request.ts";
import type { Tool } from "../translate/read-tools.ts";
import type { Fields, Reading } from "../translate/reading.ts";
import { isStrictSchema } from "./strict-schema.ts";
import { wireToolName } from "./tool-names.ts";

export interface OptionsContext {
  readonly reading: Reading;
  /** The provider's id of the model. */
  readonly model: string;
}

const maxStopSequences = 4;

/** Tools, and which of them may, must or must not be called. */
export function encodeTools({ tools, toolChoice }: MessagesRequest, { reading }: OptionsContext): Fields {
  if (tools.length === 0) return {};
  return {
    tools: tools.map((tool) => encodeTool(tool, reading)),
    ...present("tool_choice", encodeChoice(toolChoice)),
    ...(toolChoice?.parallel === false ? { parallel_tool_calls: false } : undefined),
  };
}

function encodeChoice(choice: MessagesRequest["toolChoice"]): unknown {
  if (choice?.type === "tool") return { type: "function", function: { name: wireToolName(choice.name) } };
  return choice?.type === "any" ? "required" : choice?.type;
}

function encodeTool(tool: Tool, reading: Reading): Fields {
  const { strict, ...described } = encodeFunction(tool, reading);
  return { type: "function", function: { ...described, ...(strict ? { strict } : undefined) } };
}

/** A tool as every API of OpenAI's describes a function. */
export function encodeFunction(
  { name, description, schema, strict }: Tool,
  reading: Reading,
): Fields & { readonly strict: boolean } {
  const fits = strict && isStrictSchema(schema);
  if (strict && !fits) reading.adapt("strict tool without strict mode");
  return {
    name: wireToolName(name),
    ...present("description", description),
    // An object schema without properties is refused.
    parameters: schema["properties"] === undefined ? { ...schema, properties: {} } : schema,
    strict: fits,
  };
}

export function encodeFormat(request: MessagesRequest, { reading }: OptionsContext): Fields {
  const format = encodeSchema(request, reading);
  return format ? { response_format: { type: "json_schema", json_schema: format } } : {};
}

/** The schema that the answer has to follow, with a name as the wire wants it; undefined where none was asked for. */
export function encodeSchema({ format }: MessagesRequest, reading: Reading): Fields | undefined {
  if (format === undefined) return undefined;
  const strict = isStrictSchema(format);
  if (!strict) reading.adapt("output_config.format without strict mode");
  return { name: "answer", schema: format, strict };
}

/** Models of another family get no sampling parameters that they are known to refuse. */
export function encodeSampling({ temperature, topP, topK }: MessagesRequest, context: OptionsContext): Fields {
  const { reading, model } = context;
  if (topK !== undefined) reading.adaptOrRefuse("top_k left out", "top_k");
  const asks = (temperature ?? 1) !== 1 || topP !== undefined;
  if (!asks || !reading.adapts || !reasons.test(lastSegment(model)))
    return { ...present("temperature", temperature), ...present("top_p", topP) };
  reading.adapt("sampling parameters left out");
  return {};
}

/** An answer that goes on where it should have stopped is wrong, so this is never adapted. */
export function encodeStop({ stopSequences }: MessagesRequest, { reading, model }: OptionsContext): Fields {
  if (stopSequences.length === 0) return {};
  if (stopless.test(lastSegment(model))) reading.refuse("stop_sequences", "this model takes none");
  if (stopSequences.length > maxStopSequences)
    reading.refuse("stop_sequences", `this model's provider takes ${maxStopSequences} at most`);
  return { stop: stopSequences };
}

const reasons = /^(?:o\d|gpt-5)/;
const neverReasons = /^(?:gpt-[34]|chatgpt-4|gpt-5(?:\.\d+)?-chat)/;
const stopless = /^o[34]/;

/** Tokens of thinking to words of effort. */
const efforts: readonly (readonly [fromTokens: number, effort: string])[] = [
  [10_000, "high"],
  [5000, "medium"],
  [2000, "low"],
  [0, "minimal"],
];

/** `reasoning_effort`, of the effort that was asked for, else of the thinking. */
export function encodeEffort(request: MessagesRequest, context: OptionsContext): Fields {
  if (request.thinking?.display !== undefined) context.reading.drop("thinking.display");
  return present("reasoning_effort", effortOf(request, context));
}

/** In the vendor's word; undefined where it is left to the model. */
export function effortOf(request: MessagesRequest, context: OptionsContext): string | undefined {
  const effort = askedEffort(request, context);
  if (effort === undefined || !context.reading.adapts || mayReason(context.model)) return effort;
  context.reading.adapt("thinking and effort left out");
  return undefined;
}

/** False for models that are known to refuse whatever is said of reasoning. */
export function mayReason(model: string): boolean {
  return !neverReasons.test(lastSegment(model));
}

function askedEffort({ effort, thinking }: MessagesRequest, { reading, model }: OptionsContext): string | undefined {
  if (thinking?.type === "off") return effortOfNone(reading, lastSegment(model));
  if (effort !== undefined) return effort;
  if (thinking === undefined) return undefined;
  const { budget } = thinking;
  if (budget === undefined) return "medium";
  reading.adapt("thinking.budget_tokens as effort");
  return efforts.find(([fromTokens]) => budget >= fromTokens)?.[1];
}

/** Only some models can be told not to reason, and each by its own word. */
function effortOfNone(reading: Reading, model: string): string | undefined {
  if (neverReasons.test(model)) return undefined;
  if (/^gpt-5\.\d/.test(model)) return "none";
  if (/^gpt-5(?:-|$)/.test(model)) return "minimal";
  reading.adapt("thinking left to the model");
  return undefined;
}

/** Routers write the maker in front: `openai/gpt-5`. */
function lastSegment(model: string): string {
  return model.slice(model.lastIndexOf("/") + 1);
}
