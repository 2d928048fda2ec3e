/** Anthropic's wire as samples for tests: Messages, streams and errors, as they look on the wire. */

let made = 0;

const usage = {
  input_tokens: 12,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
  output_tokens: 1,
  output_tokens_details: null,
  server_tool_use: null,
  service_tier: "standard",
  inference_geo: "global",
  speed: "standard",
};

function emptyMessage(model: string, id: string): Record<string, unknown> {
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage,
  };
}

/** A whole Message with one block of text. */
export function messageBody(text: string, model = "claude-opus-4-8", id = `msg_up_${++made}`): Record<string, unknown> {
  return {
    ...emptyMessage(model, id),
    content: [{ type: "text", text, citations: null }],
    stop_reason: "end_turn",
    usage: { ...usage, output_tokens: 7 },
  };
}

/** One event as it is framed. */
export function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`;
}

export function messageStart(model = "claude-opus-4-8", id = `msg_up_${++made}`): string {
  return event("message_start", { message: emptyMessage(model, id) });
}

export const ping = event("ping", {});

export function blockStart(index = 0): string {
  return event("content_block_start", { index, content_block: { type: "text", text: "", citations: null } });
}

export function textDelta(text: string, index = 0): string {
  return event("content_block_delta", { index, delta: { type: "text_delta", text } });
}

export function streamEnd(index = 0): string {
  const delta = { stop_reason: "end_turn", stop_sequence: null, stop_details: null, container: null };
  const total = { input_tokens: 12, output_tokens: 7, output_tokens_details: { thinking_tokens: 0 } };
  return (
    event("content_block_stop", { index }) + event("message_delta", { delta, usage: total }) + event("message_stop", {})
  );
}

/** A complete stream with one block of text, in deltas of a few characters. */
export function streamText(text: string, model = "claude-opus-4-8"): string {
  const deltas = [...(text.match(/[^]{1,12}/gu) ?? [""])].map((part) => textDelta(part)).join("");
  return messageStart(model) + blockStart() + ping + deltas + streamEnd();
}

const typeOfStatus: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

export interface ErrorSample {
  readonly type?: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly requestId?: string;
}

/** Anthropic's envelope for a status. */
export function errorBody(status: number, sample: ErrorSample = {}): Record<string, unknown> {
  const type = sample.type ?? typeOfStatus[status] ?? (status >= 500 ? "api_error" : "invalid_request_error");
  const error = {
    type,
    message: sample.message ?? `upstream ${status}`,
    ...(sample.details ? { details: sample.details } : {}),
  };
  return { type: "error", error, request_id: sample.requestId ?? null };
}
