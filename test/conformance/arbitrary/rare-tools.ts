import type { Rare } from "./rare.ts";

const screen = { name: "computer", display_width_px: 800, display_height_px: 600 } as const;
const near = { type: "approximate", city: "Oslo", region: "Oslo", country: "NO", timezone: "Europe/Oslo" } as const;
const domains = { allowed_domains: ["example.com"] } as const;
const sources = { user_input: { type: "none" }, client_tool_results: { type: "all" } } as const;
const server = { type: "url", name: "m", url: "https://example.com/mcp" } as const;

/** Tools that the vendor defines, one by one: those that the caller runs, then those that the provider runs. */
export const rareTools: readonly Rare[] = [
  { tool: { type: "bash_20250124", name: "bash" } },
  { tool: { type: "bash_20241022", name: "bash" } },
  { tool: { type: "text_editor_20241022", name: "str_replace_editor" } },
  { tool: { type: "text_editor_20250124", name: "str_replace_editor" } },
  { tool: { type: "text_editor_20250429", name: "str_replace_based_edit_tool" } },
  { tool: { type: "text_editor_20250728", name: "str_replace_based_edit_tool", max_characters: 9_000 } },
  { tool: { type: "memory_20250818", name: "memory" } },
  { tool: { type: "computer_20241022", display_number: 1, ...screen } },
  { tool: { type: "computer_20250124", ...screen } },
  { tool: { type: "computer_20251124", enable_zoom: true, ...screen } },
  { tool: { type: "computer_toolset_20260801", configs: { zoom: { enabled: true } } } },
  { tool: { type: "browser_toolset_20260801", configs: { navigate: { defer_loading: true } } } },
  { tool: { type: "web_search_20250305", name: "web_search", max_uses: 1, ...domains } },
  { tool: { type: "web_search_20260209", name: "web_search", user_location: near } },
  {
    tool: {
      type: "web_search_20260318",
      name: "web_search",
      blocked_domains: ["example.org"],
      response_inclusion: "excluded",
    },
  },
  { tool: { type: "web_fetch_20250910", name: "web_fetch", max_uses: 1, ...domains } },
  { tool: { type: "web_fetch_20260209", name: "web_fetch", max_content_tokens: 100, citations: { enabled: true } } },
  { tool: { type: "web_fetch_20260309", name: "web_fetch", use_cache: false } },
  { tool: { type: "web_fetch_20260318", name: "web_fetch", url_sources: sources } },
  { tool: { type: "code_execution_20250522", name: "code_execution" } },
  { tool: { type: "code_execution_20250825", name: "code_execution" } },
  { tool: { type: "code_execution_20260120", name: "code_execution" } },
  { tool: { type: "code_execution_20260521", name: "code_execution" } },
  { tool: { type: "tool_search_tool_regex", name: "tool_search_tool_regex" } },
  { tool: { type: "tool_search_tool_regex_20251119", name: "tool_search_tool_regex" } },
  { tool: { type: "tool_search_tool_bm25", name: "tool_search_tool_bm25" } },
  { tool: { type: "tool_search_tool_bm25_20251119", name: "tool_search_tool_bm25" } },
  { tool: { type: "advisor_20260301", name: "advisor", model: "claude-opus-5", max_uses: 2 } },
  {
    tool: {
      type: "mcp_toolset",
      mcp_server_name: "m",
      default_config: { enabled: false },
      configs: { find: { enabled: true, defer_loading: true } },
      tools: [{ name: "find", input_schema: { type: "object" } }],
    },
    members: { mcp_servers: [{ ...server, authorization_token: "t", tool_configuration: { enabled: true } }] },
  },
];
