import { rareBlocks } from "./rare-blocks.ts";
import { rareTools } from "./rare-tools.ts";
import type { Rare } from "./rare.ts";
import type { Json } from "./words.ts";

const rareMembers: readonly Json[] = [
  { max_tokens: 0 },
  { inference_geo: "global" },
  { inference_geo: "us" },
  { speed: "standard" },
  { speed: "fast" },
  { container: "container_011" },
  { container: { id: "container_011", skills: [{ type: "anthropic", skill_id: "pdf", version: "latest" }] } },
  { diagnostics: { previous_message_id: "msg_1" } },
  { mcp_servers: [{ type: "url", name: "m", url: "https://example.com/mcp" }] },
  {
    context_management: {
      edits: [
        { type: "clear_thinking_20251015", keep: { type: "thinking_turns", value: 2 } },
        {
          type: "clear_tool_uses_20250919",
          trigger: { type: "tool_uses", value: 9 },
          keep: { type: "tool_uses", value: 3 },
          clear_at_least: { type: "input_tokens", value: 100 },
          exclude_tools: ["f"],
          clear_tool_inputs: true,
        },
      ],
    },
  },
  {
    context_management: {
      edits: [
        { type: "compact_20260112", trigger: { type: "input_tokens", value: 60_000 }, pause_after_compaction: true },
      ],
    },
  },
  { compaction: { type: "summarize", instructions: "briefly" } },
  { fallbacks: "default" },
  { fallbacks: [{ model: "claude-sonnet-5", max_tokens: 9, thinking: { type: "disabled" } }] },
  { fallback_credit_token: "t" },
  { fallback_credit_token: { token: "t", mode: "best_effort" } },
  { billing_policy: { type: "billing_policy", bill_to: "self" } },
  { thread: { type: "create" } },
  { thread: { type: "continue", previous_message_id: "msg_1" } },
  { thinking: { type: "between_tools" } },
  { thinking: { type: "adaptive", display: "updates", block_binding: { prefix_mismatch_behavior: "drop_block" } } },
  { output_config: { task_budget: { type: "tokens", total: 100_000, remaining: 9 } } },
  { output_format: { type: "json_schema", schema: { type: "object", additionalProperties: false } } },
  { providerOptions: { gateway: { order: ["a"] } } },
];

/** Each by itself: what a random request holds too seldom to be met in a few hundred of them. */
export const rareKinds: readonly Rare[] = [...rareMembers.map((members) => ({ members })), ...rareTools, ...rareBlocks];
