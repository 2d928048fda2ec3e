import type { PromptPart } from "../../answer/prompt-cache.ts";
import type { Prompt, ToolChoice } from "../../answer/prompt.ts";
import type { ResponsesRequest } from "./responses-request.ts";
import { asArray, asObject, type Json } from "../json.ts";

const usualMaxTokens = 16_384;

/** What a simulated model has to know of a request. */
export function readResponsesPrompt(request: ResponsesRequest): Prompt {
  const { body, tools } = request;
  const turn = lastTurn(request);
  const format = asObject(asObject(body["text"])["format"])["schema"];
  const maxTokens = body["max_output_tokens"];
  return {
    text: textOf(turn.filter(({ role }) => role === "user")),
    toolResults: turn.filter(isOutput).map((item) => textOf([item])),
    tools: tools.map((tool) => ({ name: String(tool["name"]), schema: tool["parameters"] ?? { type: "object" } })),
    toolChoice: readChoice(body["tool_choice"]),
    ...(format === undefined ? {} : { format }),
    thinking: readThinking(asObject(body["reasoning"])),
    maxTokens: typeof maxTokens === "number" ? maxTokens : usualMaxTokens,
    stopSequences: [],
  };
}

/** Where markers are looked for. */
export function markedText(request: ResponsesRequest): { readonly prompt: string; readonly system: string } {
  const { instructions } = request.body;
  const system = textOf(request.input.filter(({ role }) => role === "system" || role === "developer"));
  const prompt = textOf(lastTurn(request).filter(({ role }) => role === "user"));
  return { prompt, system: typeof instructions === "string" ? `${instructions}\n${system}` : system };
}

/** Every prefix is cached without being asked for. */
export function cacheParts({ body, tools, input }: ResponsesRequest): PromptPart[] {
  const parts = [...tools, body["instructions"] ?? "", ...input];
  return parts.map((part) => ({ json: JSON.stringify(part), cacheTtl: "5m" }));
}

/** Reasoning is shown as a summary, to those who ask for one. */
function readThinking({ effort, summary }: Json): Prompt["thinking"] {
  if (typeof effort !== "string" || effort === "none") return "off";
  return typeof summary === "string" ? "summarized" : "omitted";
}

/** What came after the model's last words. */
function lastTurn({ input }: ResponsesRequest): readonly Json[] {
  const isModels = ({ role, type }: Json): boolean =>
    role === "assistant" || type === "function_call" || type === "reasoning";
  return input.slice(input.findLastIndex(isModels) + 1);
}

function isOutput({ type }: Json): boolean {
  return type === "function_call_output";
}

function textOf(items: readonly Json[]): string {
  return items
    .map(({ content, output }) => content ?? output)
    .flatMap((parts) => (typeof parts === "string" ? [parts] : asArray(parts).map((part) => asObject(part)["text"])))
    .filter((text) => typeof text === "string" && !text.startsWith("<system-reminder>"))
    .join("\n");
}

function readChoice(choice: unknown): ToolChoice {
  if (choice === "required") return { type: "any" };
  const { name } = asObject(choice);
  if (typeof name === "string") return { type: "tool", name };
  return { type: choice === "none" ? "none" : "auto" };
}
