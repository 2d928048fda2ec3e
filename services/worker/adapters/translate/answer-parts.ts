import type { Usage } from "#shared/messages/usage.ts";
import { isFields, type Fields } from "./reading.ts";

/** What a Message of ours says of itself before its content. */
export interface AnswerHead {
  readonly id: string;
  /** As the caller wrote it. */
  readonly model: string;
}

type StopReason = "end_turn" | "max_tokens" | "stop_sequence" | "tool_use" | "refusal";

/** How a translated answer ended. */
export interface AnswerEnd {
  readonly stopReason: StopReason;
  readonly stopSequence?: string;
  /** What the model said of its refusal. */
  readonly explanation?: string;
  readonly usage: Usage;
}

/** `msg_` and the random part of the call's id, so that the answer can be found by either. */
export function messageIdOf(callId: string): string {
  return `msg_${callId.slice(callId.indexOf("_") + 1)}`;
}

/** A Message with every member that the clients' types name, as `message_start` carries it. */
export function emptyMessage(head: AnswerHead, usage: Usage): Fields {
  return {
    id: head.id,
    type: "message",
    role: "assistant",
    model: head.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: wholeUsage(usage),
  };
}

export function stopMembers({ stopReason, stopSequence, explanation }: AnswerEnd): Fields {
  const refused = stopReason === "refusal";
  return {
    stop_reason: stopReason,
    stop_sequence: stopSequence ?? null,
    stop_details: refused ? { type: "refusal", category: null, explanation: explanation ?? null } : null,
    container: null,
  };
}

/** What `message_delta` tells. */
export function deltaUsage(usage: Usage): Fields {
  return {
    input_tokens: usage.input_tokens,
    cache_creation_input_tokens: usage.cache_creation_input_tokens,
    cache_read_input_tokens: usage.cache_read_input_tokens,
    output_tokens: usage.output_tokens,
    output_tokens_details: usage.thinking_tokens === undefined ? null : { thinking_tokens: usage.thinking_tokens },
    server_tool_use: null,
  };
}

export function wholeUsage(usage: Usage): Fields {
  return { ...deltaUsage(usage), cache_creation: null, service_tier: null, inference_geo: null, speed: null };
}

export function emptyText(): Fields {
  return { type: "text", text: "", citations: null };
}

export function emptyThinking(): Fields {
  return { type: "thinking", thinking: "", signature: "" };
}

export function emptyToolUse(tool: { readonly id: string; readonly name: string }): Fields {
  return { type: "tool_use", id: tool.id, name: tool.name, input: {}, caller: { type: "direct" } };
}

/** A tool's arguments as an object, whatever the model wrote; what is none is kept under a name that tells. */
export function toolInput(args: string): Fields {
  if (args.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(args);
    if (isFields(value)) return value;
  } catch {
    // Cut short, or never JSON.
  }
  return { INVALID_JSON: args };
}
