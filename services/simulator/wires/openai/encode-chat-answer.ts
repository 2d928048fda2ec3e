import type { Answer, AnswerBlock } from "../../answer/prompt.ts";
import type { InputUsage } from "../../answer/prompt-cache.ts";
import type { Frame } from "../../pacer.ts";
import type { Json } from "../json.ts";

/** What goes around an answer. */
export interface ChatHead {
  readonly id: string;
  readonly model: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly input: InputUsage;
  readonly includeUsage: boolean;
}

/** A whole completion. */
export function encodeCompletion(head: ChatHead, answer: Answer): Json {
  const reasoning = textOf(answer, "thinking");
  const text = textOf(answer, "text");
  const calls = answer.blocks.filter((block) => block.type === "tool_use").map(wholeCall);
  const message = {
    role: "assistant",
    content: text === "" ? null : text,
    refusal: null,
    annotations: [],
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return {
    ...envelope(head, "chat.completion"),
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(answer) }],
    usage: usage(head, answer),
    service_tier: "default",
    system_fingerprint: null,
  };
}

/** The chunks of a streamed completion. @param size tokens in one delta */
export function* encodeChunks(head: ChatHead, answer: Answer, size: number): Generator<Frame, void> {
  yield chunk(head, { role: "assistant", content: "", refusal: null }, 0);
  let index = -1;
  for (const block of answer.blocks) {
    if (block.type === "tool_use") yield chunk(head, { tool_calls: [openedCall(block, ++index)] }, 0);
    for (let start = 0; start < block.pieces.length; start += size) {
      const pieces = block.pieces.slice(start, start + size);
      yield chunk(head, deltaOf(block, pieces.join(""), index), pieces.length);
    }
  }
  yield event({ ...chunkOf(head), choices: [choice({}, finishReason(answer))] }, 0);
  if (head.includeUsage) yield event({ ...chunkOf(head), choices: [], usage: usage(head, answer) }, 0);
  yield { text: "data: [DONE]\n\n", tokens: 0 };
}

function deltaOf(block: AnswerBlock, piece: string, index: number): Json {
  if (block.type === "text") return { content: piece };
  if (block.type === "thinking") return { reasoning_content: piece };
  return { tool_calls: [{ index, function: { arguments: piece } }] };
}

function chunk(head: ChatHead, delta: Json, tokens: number): Frame {
  return event({ ...chunkOf(head), choices: [choice(delta, null)] }, tokens);
}

function choice(delta: Json, finish: string | null): Json {
  return { index: 0, delta, logprobs: null, finish_reason: finish };
}

function event(value: Json, tokens: number): Frame {
  return { text: `data: ${JSON.stringify(value)}\n\n`, tokens };
}

function chunkOf(head: ChatHead): Json {
  return {
    ...envelope(head, "chat.completion.chunk"),
    service_tier: "default",
    system_fingerprint: null,
    ...(head.includeUsage ? { usage: null } : {}),
  };
}

function envelope({ id, created, model }: ChatHead, object: string): Json {
  return { id, object, created, model };
}

type CallBlock = Extract<AnswerBlock, { type: "tool_use" }>;

function wholeCall({ id, name, pieces }: CallBlock): Json {
  return { id: callId(id), type: "function", function: { name, arguments: pieces.join("") } };
}

function openedCall({ id, name }: CallBlock, index: number): Json {
  return { index, id: callId(id), type: "function", function: { name, arguments: "" } };
}

function callId(id: string): string {
  return id.replace(/^toolu/, "call");
}

function textOf(answer: Answer, type: "text" | "thinking"): string {
  return answer.blocks.flatMap((block) => (block.type === type ? block.pieces : [])).join("");
}

const finishReasons: Readonly<Record<string, string>> = {
  tool_use: "tool_calls",
  max_tokens: "length",
  refusal: "content_filter",
};
const ownReasons = new Set(["stop", "length", "tool_calls", "content_filter"]);

/** A scenario may name OpenAI's own word. */
function finishReason({ stopReason }: Answer): string {
  return ownReasons.has(stopReason) ? stopReason : (finishReasons[stopReason] ?? "stop");
}

/** What came out of the cache is part of the prompt, and reasoning part of the completion. */
function usage({ input }: ChatHead, { outputTokens, thinkingTokens }: Answer): Json {
  const cached = input.cache_read_input_tokens;
  const prompt = Math.max(1, input.input_tokens + input.cache_creation_input_tokens + cached);
  return {
    prompt_tokens: prompt,
    completion_tokens: outputTokens,
    total_tokens: prompt + outputTokens,
    prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: thinkingTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
