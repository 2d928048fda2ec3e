import type { Usage } from "#shared/messages/usage.ts";
import { isFields } from "../translate/reading.ts";

/** `usageMetadata` in Messages terms, where the counters exclude one another; undefined without one. */
export function readGeminiUsage(metadata: unknown): Usage | undefined {
  if (!isFields(metadata)) return undefined;
  const count = (name: string): number => {
    const value = metadata[name];
    return typeof value === "number" && value > 0 ? value : 0;
  };
  const cached = count("cachedContentTokenCount");
  const thoughts = count("thoughtsTokenCount");
  return {
    input_tokens: Math.max(0, count("promptTokenCount") - cached) + count("toolUsePromptTokenCount"),
    output_tokens: count("candidatesTokenCount") + thoughts,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    ...(thoughts > 0 ? { thinking_tokens: thoughts } : {}),
  };
}
