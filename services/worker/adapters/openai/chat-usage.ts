import type { Usage } from "#shared/messages/usage.ts";
import { isFields, type Fields } from "../translate/reading.ts";

/**
 * The usage of this wire in Messages terms: input without what the cache gave or took, output with the reasoning.
 * Servers count cached and reasoning tokens inside or beside the totals; the sum they give tells which.
 */
export function readChatUsage(value: unknown): Usage | undefined {
  if (!isFields(value)) return undefined;
  const prompt = count(value["prompt_tokens"]);
  const completion = count(value["completion_tokens"]);
  const total = count(value["total_tokens"]);
  const input = fieldsOf(value["prompt_tokens_details"]);
  const read = count(input["cached_tokens"] ?? value["cached_tokens"] ?? value["prompt_cache_hit_tokens"]);
  const written = count(input["cache_write_tokens"]);
  const thinking = count(fieldsOf(value["completion_tokens_details"])["reasoning_tokens"] ?? value["reasoning_tokens"]);
  const cached = read + written;
  const cachedBeside = cached > 0 && total === prompt + cached + completion;
  const thinkingBeside = thinking > 0 && total === prompt + completion + thinking && !cachedBeside;
  return {
    input_tokens: cachedBeside ? prompt : Math.max(0, prompt - cached),
    output_tokens: thinkingBeside ? completion + thinking : completion,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: read,
    ...(thinking > 0 ? { thinking_tokens: thinking } : undefined),
  };
}

/** Prose is four bytes a token, other text fewer; errs a little high. */
const bytesPerOutputToken = 3;

/** What an answer is taken to have used where the server does not say. */
export function estimatedUsage(inputTokens: number, outputBytes: number): Usage {
  return {
    input_tokens: inputTokens,
    output_tokens: Math.ceil(outputBytes / bytesPerOutputToken),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? Math.trunc(value) : 0;
}
