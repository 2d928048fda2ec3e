import type { MessagesRequest } from "../translate/messages-request.ts";
import type { Reading } from "../translate/reading.ts";
import type { ModelTraits } from "./model-traits.ts";
import { toGeminiSchema } from "./to-gemini-schema.ts";
import type { GenerationConfig, ThinkingConfig } from "./wire.ts";

interface GenerationScope {
  readonly traits: ModelTraits;
  readonly reading: Reading;
}

const mostStopSequences = 5;

export function encodeGeneration(request: MessagesRequest, scope: GenerationScope): GenerationConfig {
  const { reading } = scope;
  const { temperature, topP, topK, stopSequences } = request;
  if (stopSequences.length > mostStopSequences)
    reading.refuse("stop_sequences", `this model takes at most ${mostStopSequences}`);
  const thinkingConfig = encodeThinking(request, scope);
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(topK === undefined ? {} : { topK }),
    ...encodeMaxTokens(request, scope),
    ...(stopSequences.length === 0 ? {} : { stopSequences }),
    ...encodeFormat(request, scope),
    ...(thinkingConfig ? { thinkingConfig } : {}),
  };
}

function encodeMaxTokens({ maxTokens }: MessagesRequest, { traits, reading }: GenerationScope): GenerationConfig {
  const { mostOutputTokens } = traits;
  if (!reading.adapts || maxTokens <= mostOutputTokens) return { maxOutputTokens: maxTokens };
  reading.adapt(`max_tokens ${mostOutputTokens}`);
  return { maxOutputTokens: mostOutputTokens };
}

function encodeFormat({ format }: MessagesRequest, { traits, reading }: GenerationScope): GenerationConfig {
  if (format === undefined) return {};
  const responseMimeType = "application/json";
  if (traits.jsonSchema) return { responseMimeType, responseJsonSchema: format };
  reading.adapt("output_config.format in the model's subset");
  return { responseMimeType, responseSchema: toGeminiSchema(format) };
}

type Effort = "low" | "medium" | "high";

/** Gemini counts thoughts into the most tokens of output, as Claude does. */
function encodeThinking(request: MessagesRequest, scope: GenerationScope): ThinkingConfig | undefined {
  const { thinking, effort } = request;
  if (thinking === undefined && effort === undefined) return undefined;
  const { traits, reading } = scope;
  if (traits.thinking === "none") {
    if (thinking?.type === "on") reading.adaptOrRefuse("thinking left out", "thinking");
    if (effort !== undefined) reading.drop("output_config.effort");
    return undefined;
  }
  const shown = thinking?.type === "on" ? { includeThoughts: thinking.display !== "omitted" } : {};
  const wish = { off: thinking?.type === "off", budget: thinking?.budget, effort: readEffort(effort, scope) };
  return { ...shown, ...(traits.thinking === "level" ? asLevel(wish, scope) : asBudget(wish, scope)) };
}

interface Wish {
  readonly off: boolean;
  readonly budget: number | undefined;
  readonly effort: Effort | undefined;
}

function readEffort(effort: string | undefined, { reading }: GenerationScope): Effort | undefined {
  if (effort === undefined || effort === "low" || effort === "medium" || effort === "high") return effort;
  if (effort !== "xhigh" && effort !== "max")
    reading.refuse("output_config.effort", "Input should be low, medium, high, xhigh or max");
  reading.adapt("output_config.effort high");
  return "high";
}

/** What Google itself puts in the place of an effort: in tokens, and from tokens back to a level. */
const budgetOf = { low: 1024, medium: 8192, high: 24_576 } as const;

function asLevel({ off, budget, effort }: Wish, { traits, reading }: GenerationScope): ThinkingConfig {
  if (off) {
    reading.adapt("thinking as little as the model can");
    return { thinkingLevel: traits.levels.off };
  }
  if (budget !== undefined) {
    reading.adapt("thinking.budget_tokens as a level");
    const level = budget < 4096 ? "low" : budget < 16_384 ? "medium" : "high";
    return { thinkingLevel: traits.levels[level] };
  }
  return effort === undefined ? {} : { thinkingLevel: traits.levels[effort] };
}

function asBudget({ off, budget, effort }: Wish, { traits, reading }: GenerationScope): ThinkingConfig {
  const range = traits.budget;
  if (off) {
    if (range.off > 0) reading.adapt("thinking as little as the model can");
    return { thinkingBudget: range.off };
  }
  const wanted = budget ?? (effort === undefined ? undefined : budgetOf[effort]);
  if (wanted === undefined) return { thinkingBudget: -1 };
  const thinkingBudget = Math.min(range.most, Math.max(range.least, wanted));
  if (thinkingBudget !== wanted) reading.adapt(`thinking.budget_tokens ${thinkingBudget}`);
  return { thinkingBudget };
}
