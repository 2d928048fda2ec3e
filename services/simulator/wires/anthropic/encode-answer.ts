import type { Answer, AnswerBlock } from "../../answer/prompt.ts";
import type { InputUsage } from "../../answer/prompt-cache.ts";
import type { Frame } from "../../pacer.ts";

/** What goes around the blocks of a message. */
export interface MessageHead {
  readonly id: string;
  readonly model: string;
  readonly input: InputUsage;
  readonly container: { readonly id: string; readonly expires_at: string } | null;
  /** Present when the caller asked for context management. */
  readonly contextManagement?: { readonly applied_edits: readonly unknown[] };
}

/** A whole Message, with every member the API's types name. */
export function encodeMessage(head: MessageHead, answer: Answer): Record<string, unknown> {
  return {
    ...message(head, 0),
    content: answer.blocks.map((block) => ({ ...emptyBlock(block), ...filledMembers(block) })),
    stop_reason: answer.stopReason,
    stop_sequence: answer.stopSequence,
    stop_details: stopDetails(answer.stopReason),
    usage: { ...usage(head, answer.outputTokens), output_tokens_details: { thinking_tokens: answer.thinkingTokens } },
    ...(head.contextManagement ? { context_management: head.contextManagement } : {}),
  };
}

/** The events of a streamed Message. @param chunk tokens in one delta */
export function* encodeEvents(head: MessageHead, answer: Answer, chunk: number): Generator<Frame, void> {
  yield frame({ type: "message_start", message: message(head, 1) }, 0);
  for (const [index, block] of answer.blocks.entries()) {
    yield frame({ type: "content_block_start", index, content_block: emptyBlock(block) }, 0);
    if (index === 0) yield frame({ type: "ping" }, 0);
    yield* encodeDeltas(block, index, chunk);
    yield frame({ type: "content_block_stop", index }, 0);
  }
  const { stopReason, stopSequence } = answer;
  yield frame(
    {
      type: "message_delta",
      delta: {
        stop_reason: stopReason,
        stop_sequence: stopSequence,
        stop_details: stopDetails(stopReason),
        container: head.container,
      },
      usage: {
        input_tokens: head.input.input_tokens,
        cache_creation_input_tokens: head.input.cache_creation_input_tokens,
        cache_read_input_tokens: head.input.cache_read_input_tokens,
        output_tokens: answer.outputTokens,
        output_tokens_details: { thinking_tokens: answer.thinkingTokens },
        server_tool_use: null,
      },
      ...(head.contextManagement ? { context_management: head.contextManagement } : {}),
    },
    0,
  );
  yield frame({ type: "message_stop" }, 0);
}

function* encodeDeltas(block: AnswerBlock, index: number, chunk: number): Generator<Frame, void> {
  const delta = (value: object, tokens: number): Frame =>
    frame({ type: "content_block_delta", index, delta: value }, tokens);
  if (block.type === "tool_use") yield delta({ type: "input_json_delta", partial_json: "" }, 0);
  for (let start = 0; start < block.pieces.length; start += chunk) {
    const pieces = block.pieces.slice(start, start + chunk);
    const text = pieces.join("");
    if (block.type === "text") yield delta({ type: "text_delta", text }, pieces.length);
    else if (block.type === "thinking") yield delta({ type: "thinking_delta", thinking: text }, pieces.length);
    else yield delta({ type: "input_json_delta", partial_json: text }, pieces.length);
  }
  // The signature of reasoning that is not shown takes the time the reasoning took.
  if (block.type === "thinking")
    yield delta({ type: "signature_delta", signature: block.signature }, block.tokens - block.pieces.length);
}

/** One event; its name is its `type`. */
export function frame(event: { readonly type: string; readonly [member: string]: unknown }, tokens: number): Frame {
  return { text: `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`, tokens };
}

function message(head: MessageHead, outputTokens: number): Record<string, unknown> {
  return {
    id: head.id,
    type: "message",
    role: "assistant",
    model: head.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: head.container,
    diagnostics: null,
    usage: usage(head, outputTokens),
  };
}

function usage({ input }: MessageHead, outputTokens: number): Record<string, unknown> {
  return {
    ...input,
    output_tokens: outputTokens,
    output_tokens_details: null,
    server_tool_use: null,
    service_tier: "standard",
    inference_geo: "global",
    speed: "standard",
  };
}

/** A block as `content_block_start` shows it. */
function emptyBlock(block: AnswerBlock): Record<string, unknown> {
  if (block.type === "text") return { type: "text", text: "", citations: null };
  if (block.type === "thinking") return { type: "thinking", thinking: "", signature: "" };
  return { type: "tool_use", id: block.id, name: block.name, input: {}, caller: { type: "direct" } };
}

function filledMembers(block: AnswerBlock): Record<string, unknown> {
  if (block.type === "text") return { text: block.pieces.join("") };
  if (block.type === "thinking") return { thinking: block.thinking, signature: block.signature };
  return { input: block.input };
}

function stopDetails(stopReason: string): unknown {
  if (stopReason !== "refusal") return null;
  return { type: "refusal", category: "general_harms", explanation: "Simulated refusal." };
}
