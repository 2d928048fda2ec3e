import type { PromptPart } from "../../answer/prompt-cache.ts";
import type { Prompt, ToolChoice } from "../../answer/prompt.ts";
import type { GeminiRequest } from "./gemini-request.ts";
import { asArray, asObject, type Json } from "../json.ts";

const usualMaxTokens = 65_536;

/** What a simulated model has to know of a request. */
export function readGeminiPrompt(request: GeminiRequest): Prompt {
  const { generation, functions, choice } = request;
  const turn = lastTurn(request);
  const format = generation["responseJsonSchema"] ?? generation["responseSchema"];
  const { maxOutputTokens } = generation;
  return {
    text: textOf(turn),
    toolResults: turn.flatMap((part) =>
      "functionResponse" in part ? [resultText(asObject(part["functionResponse"]))] : [],
    ),
    tools: functions.map((declared) => ({
      name: String(declared["name"]),
      schema: declared["parametersJsonSchema"] ?? declared["parameters"] ?? { type: "object" },
    })),
    toolChoice: readChoice(choice),
    ...(format === undefined ? {} : { format }),
    thinking: asObject(generation["thinkingConfig"])["includeThoughts"] === true ? "summarized" : "off",
    maxTokens: typeof maxOutputTokens === "number" ? maxOutputTokens : usualMaxTokens,
    stopSequences: asArray(generation["stopSequences"]).map(String),
  };
}

/** Where markers are looked for. */
export function markedText(request: GeminiRequest): { readonly prompt: string; readonly system: string } {
  return { prompt: textOf(lastTurn(request)), system: textOf(request.system) };
}

/** Every prefix is cached without being asked for, as Gemini does it. */
export function cacheParts({ functions, system, contents }: GeminiRequest): PromptPart[] {
  return [...functions, ...system, ...contents.flatMap(({ parts }) => parts)].map((part) => ({
    json: JSON.stringify(part),
    cacheTtl: "5m",
  }));
}

function lastTurn({ contents }: GeminiRequest): readonly Json[] {
  const from = contents.findLastIndex(({ role }) => role === "model") + 1;
  return contents.slice(from).flatMap(({ parts }) => parts);
}

function textOf(parts: readonly Json[]): string {
  return parts
    .map(({ text }) => text)
    .filter((text) => typeof text === "string" && !text.startsWith("<system-reminder>"))
    .join("\n");
}

function resultText({ response }: Json): string {
  const { output, error } = asObject(response);
  const told = output ?? error ?? response;
  return typeof told === "string" ? told : JSON.stringify(told);
}

function readChoice({ mode, allowedFunctionNames }: Json): ToolChoice {
  const [name] = asArray(allowedFunctionNames);
  if (mode === "ANY") return typeof name === "string" ? { type: "tool", name } : { type: "any" };
  return { type: mode === "NONE" ? "none" : "auto" };
}
