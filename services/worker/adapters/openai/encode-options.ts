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

function encodeTool({ name, description, schema, strict }: Tool, reading: Reading): Fields {
  const fits = strict && isStrictSchema(schema);
  if (strict && !fits) reading.adapt("strict tool without strict mode");
  return {
    type: "function",
    function: {
      name: wireToolName(name),
      ...present("description", description),
      // An object schema without properties is refused.
      parameters: schema["properties"] === undefined ? { ...schema, properties: {} } : schema,
      ...(fits ? { strict: true } : undefined),
    },
  };
}

export function encodeFormat({ format }: MessagesRequest, { reading }: OptionsContext): Fields {
  if (format === undefined) return {};
  const strict = isStrictSchema(format);
  if (!strict) reading.adapt("output_config.format without strict mode");
  return { response_format: { type: "json_schema", json_schema: { name: "answer", schema: format, strict } } };
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
const neverReasons = /^(?:gpt-[34]|chatgpt-4)/;
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
  const effort = effortOf(request, context);
  if (effort === undefined) return {};
  if (context.reading.adapts && neverReasons.test(lastSegment(context.model))) {
    context.reading.adapt("thinking and effort left out");
    return {};
  }
  return { reasoning_effort: effort };
}

function effortOf({ effort, thinking }: MessagesRequest, { reading, model }: OptionsContext): string | undefined {
  if (thinking?.type === "off") return effortOfNone(reading, lastSegment(model));
  if (thinking?.display !== undefined) reading.drop("thinking.display");
  if (effort !== undefined) return effort;
  if (thinking === undefined) return undefined;
  const { budget } = thinking;
  if (budget === undefined) return "medium";
  reading.adapt("thinking.budget_tokens as effort");
  return efforts.find(([fromTokens]) => budget >= fromTokens)?.[1];
}

/** Only some models can be told not to reason, and each by its own word. */
function effortOfNone(reading: Reading, model: string): string | undefined {
  if (/^gpt-5\.\d/.test(model)) return "none";
  if (/^gpt-5(?:-|$)/.test(model)) return "minimal";
  if (!neverReasons.test(model)) reading.adapt("thinking left to the model");
  return undefined;
}

/** Routers write the maker in front: `openai/gpt-5`. */
function lastSegment(model: string): string {
  return model.slice(model.lastIndexOf("/") + 1);
}
