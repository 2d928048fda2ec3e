import { makeId } from "../../answer/ids.ts";
import type { Answer, AnswerBlock } from "../../answer/prompt.ts";
import type { InputUsage } from "../../answer/prompt-cache.ts";
import type { Json } from "../json.ts";

/** What goes around an answer. */
export interface ResponseHead {
  readonly id: string;
  readonly model: string;
  /** Seconds since the epoch. */
  readonly createdAt: number;
  readonly input: InputUsage;
  /** The body, of which a response repeats what it was asked. */
  readonly asked: Json;
}

/** A whole response. */
export function encodeResponse(head: ResponseHead, answer: Answer): Json {
  return endedResponse(
    head,
    answer,
    answer.blocks.map((block) => wholeItem(block, statusOf(answer))),
  );
}

/** The response at its end. @param output its items */
export function endedResponse(head: ResponseHead, answer: Answer, output: readonly Json[]): Json {
  const status = statusOf(answer);
  return {
    ...openedResponse(head),
    status,
    completed_at: status === "completed" ? head.createdAt : null,
    incomplete_details: status === "completed" ? null : { reason: incompleteReasons[answer.stopReason] },
    output,
    usage: usage(head, answer),
  };
}

/** The response before anything of it is there. */
export function openedResponse({ id, model, createdAt, asked }: ResponseHead): Json {
  const reasoning = { effort: null, summary: null, ...(asked["reasoning"] as Json | undefined) };
  return {
    id,
    object: "response",
    created_at: createdAt,
    status: "in_progress",
    background: false,
    error: null,
    incomplete_details: null,
    instructions: asked["instructions"] ?? null,
    max_output_tokens: asked["max_output_tokens"] ?? null,
    metadata: {},
    model,
    output: [],
    parallel_tool_calls: asked["parallel_tool_calls"] ?? true,
    previous_response_id: null,
    reasoning,
    service_tier: "default",
    store: asked["store"] ?? true,
    temperature: asked["temperature"] ?? 1,
    text: asked["text"] ?? { format: { type: "text" } },
    tool_choice: asked["tool_choice"] ?? "auto",
    tools: asked["tools"] ?? [],
    top_p: asked["top_p"] ?? 1,
    truncation: "disabled",
    usage: null,
  };
}

/** One item of the output with all that is in it. */
export function wholeItem(block: AnswerBlock, status: string, id = itemId(block)): Json {
  const text = block.pieces.join("");
  if (block.type === "text")
    return {
      type: "message",
      id,
      status,
      role: "assistant",
      content: [{ type: "output_text", annotations: [], text }],
    };
  if (block.type === "tool_use")
    return { type: "function_call", id, status, call_id: callId(block.id), name: block.name, arguments: text };
  const summary = text === "" ? [] : [{ type: "summary_text", text }];
  return { type: "reasoning", id, summary, encrypted_content: block.signature };
}

/** The same before anything is in it. */
export function emptyItem(block: AnswerBlock, id: string): Json {
  const item = wholeItem({ ...block, pieces: [] }, "in_progress", id);
  return block.type === "text" ? { ...item, content: [] } : item;
}

const idPrefixes = { text: "msg", tool_use: "fc", thinking: "rs" } as const;

export function itemId({ type }: AnswerBlock): string {
  return makeId(idPrefixes[type]);
}

function callId(id: string): string {
  return id.replace(/^toolu/, "call");
}

/** A scenario may name OpenAI's own word. */
const incompleteReasons: Readonly<Record<string, string>> = {
  max_tokens: "max_output_tokens",
  max_output_tokens: "max_output_tokens",
  refusal: "content_filter",
  content_filter: "content_filter",
};

export function statusOf({ stopReason }: Answer): "completed" | "incomplete" {
  return Object.hasOwn(incompleteReasons, stopReason) ? "incomplete" : "completed";
}

/** What came out of the cache is part of the input, and reasoning part of the output. */
function usage({ input }: ResponseHead, { outputTokens, thinkingTokens }: Answer): Json {
  const cached = input.cache_read_input_tokens;
  const tokens = Math.max(1, input.input_tokens + input.cache_creation_input_tokens + cached);
  return {
    input_tokens: tokens,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: thinkingTokens },
    total_tokens: tokens + outputTokens,
  };
}
