import type { PromptPart } from "../../answer/prompt-cache.ts";
import type { Prompt, ToolChoice } from "../../answer/prompt.ts";
import type { ChatRequest } from "./chat-request.ts";
import { asArray, asObject, type Json } from "../json.ts";

const usualMaxTokens = 16_384;

/** What a simulated model has to know of a request. */
export function readChatPrompt(request: ChatRequest): Prompt {
  const { body, tools } = request;
  const turn = lastTurn(request);
  const { max_completion_tokens: newer, max_tokens: older } = body;
  const format = asObject(asObject(body["response_format"])["json_schema"])["schema"];
  const maxTokens = newer ?? older;
  return {
    text: textOf(turn.filter(({ role }) => role === "user")),
    toolResults: turn.filter(({ role }) => role === "tool").map((message) => textOf([message])),
    tools: tools.map((tool) => {
      const fn = asObject(tool["function"]);
      return { name: String(fn["name"]), schema: fn["parameters"] ?? { type: "object" } };
    }),
    toolChoice: readChoice(body["tool_choice"]),
    ...(format === undefined ? {} : { format }),
    thinking: readThinking(request),
    maxTokens: typeof maxTokens === "number" ? maxTokens : usualMaxTokens,
    stopSequences: (typeof body["stop"] === "string" ? [body["stop"]] : asArray(body["stop"])).map(String),
  };
}

/** Where markers are looked for. */
export function markedText(request: ChatRequest): { readonly prompt: string; readonly system: string } {
  const system = request.messages.filter(({ role }) => role === "system" || role === "developer");
  return { prompt: textOf(lastTurn(request).filter(({ role }) => role === "user")), system: textOf(system) };
}

/** Every prefix is cached without being asked for. */
export function cacheParts({ tools, messages }: ChatRequest): PromptPart[] {
  return [...tools, ...messages].map((part) => ({ json: JSON.stringify(part), cacheTtl: "5m" }));
}

/** The vendor's own models keep their reasoning to themselves, those of compatible servers show it. */
function readThinking({ body, model }: ChatRequest): Prompt["thinking"] {
  const effort = body["reasoning_effort"];
  if (typeof effort !== "string" || effort === "none") return "off";
  return /^(?:gpt-\d|o\d|chatgpt)/.test(model) ? "omitted" : "summarized";
}

function lastTurn({ messages }: ChatRequest): readonly Json[] {
  return messages.slice(messages.findLastIndex(({ role }) => role === "assistant") + 1);
}

function textOf(messages: readonly Json[]): string {
  return messages
    .flatMap(({ content }) =>
      typeof content === "string" ? [content] : asArray(content).map((part) => asObject(part)["text"]),
    )
    .filter((text) => typeof text === "string" && !text.startsWith("<system-reminder>"))
    .join("\n");
}

function readChoice(choice: unknown): ToolChoice {
  if (choice === "required") return { type: "any" };
  const { name } = asObject(asObject(choice)["function"]);
  if (typeof name === "string") return { type: "tool", name };
  return { type: choice === "none" ? "none" : "auto" };
}
