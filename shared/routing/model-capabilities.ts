import type { ModelInfo } from "#shared/messages/model-info.ts";
import { effortLevels, thinkingKinds, type BuiltinCapabilities } from "./builtin-models.ts";

interface Support {
  readonly supported: boolean;
}

const yes: Support = { supported: true };
const no: Support = { supported: false };

/** What a model has, in Anthropic's shape of `capabilities`. What all built-in models have is said here. */
export function describeCapabilities(built: BuiltinCapabilities): NonNullable<ModelInfo["capabilities"]> {
  const { effort, thinking, compaction = false } = built;
  return {
    batch: yes,
    citations: yes,
    code_execution: yes,
    context_management: {
      ...yes,
      clear_thinking_20251015: yes,
      clear_tool_uses_20250919: yes,
      compact_20260112: supported(compaction),
    },
    effort: { ...supported(effort.length > 0), ...eachOf(effortLevels, effort) },
    image_input: yes,
    pdf_input: yes,
    structured_outputs: yes,
    server_tools: { ...yes, web_search: yes, code_execution: yes },
    thinking: { ...supported(thinking.length > 0), types: eachOf(thinkingKinds, thinking) },
  };
}

function supported(has: boolean): Support {
  return has ? yes : no;
}

function eachOf(kinds: readonly string[], has: readonly string[]): Record<string, Support> {
  return Object.fromEntries(kinds.map((kind) => [kind, supported(has.includes(kind))]));
}
