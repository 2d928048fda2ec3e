import type { Rare } from "./rare.ts";
import type { Json } from "./words.ts";

const id = "srvtoolu_1";
const direct = { type: "direct" } as const;

/** What the provider's own tool was asked, and what it gave back: a pair within one turn of the assistant. */
function hosted(tool: string, content: unknown, more: Json = {}): Rare {
  const type = tool.startsWith("tool_search") ? "tool_search_tool_result" : `${tool}_tool_result`;
  const use = { type: "server_tool_use", id, name: tool, input: { a: 1 }, ...more };
  return said(use, { type, tool_use_id: id, content });
}

/** The assistant said this, and the user answers. */
function said(...content: readonly Json[]): Rare {
  return {
    turns: [
      { role: "assistant", content },
      { role: "user", content: "Go on." },
    ],
  };
}

/** The user says this at the conversation's beginning. */
function asked(...content: readonly Json[]): Rare {
  return { turns: [{ role: "user", content }] };
}

function system(turn: Json): Rare {
  return { turns: [{ role: "system", ...turn }] };
}

/** A tool of the caller gave this back. */
function answered(content: unknown, more: Json = {}, used: Json = {}): Rare {
  return {
    turns: [
      { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "look", input: {}, ...more, ...used }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content, ...more }] },
    ],
  };
}

const ran = { return_code: 0, stderr: "", content: [] } as const;
const page = { type: "document", source: { type: "text", media_type: "text/plain", data: "hello" } } as const;
const place = { cited_text: "a", document_index: 0, document_title: null } as const;

const hostedPairs: readonly Rare[] = [
  hosted(
    "web_search",
    [{ type: "web_search_result", url: "https://example.com", title: "t", encrypted_content: "e", page_age: null }],
    { caller: direct },
  ),
  hosted("web_search", { type: "web_search_tool_result_error", error_code: "unavailable" }),
  hosted("web_fetch", { type: "web_fetch_result", url: "https://example.com", content: page }),
  hosted("web_fetch", { type: "web_fetch_tool_result_error", error_code: "url_not_allowed" }),
  hosted("code_execution", { type: "code_execution_result", stdout: "1", ...ran }),
  hosted("bash_code_execution", {
    type: "bash_code_execution_result",
    stdout: "1",
    ...ran,
    content: [{ type: "bash_code_execution_output", file_id: "file_014" }],
  }),
  hosted("text_editor_code_execution", {
    type: "text_editor_code_execution_view_result",
    file_type: "text",
    content: "a",
  }),
  hosted("tool_search_tool_regex", {
    type: "tool_search_tool_search_result",
    tool_references: [{ type: "tool_reference", tool_name: "f" }],
  }),
  hosted("tool_search_tool_bm25", {
    type: "tool_search_tool_result_error",
    error_code: "unavailable",
  }),
  hosted("advisor", { type: "advisor_result", text: "do" }),
  said(
    { type: "mcp_tool_use", id: "mcptoolu_1", name: "find", server_name: "m", input: {} },
    { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", is_error: false, content: [{ type: "text", text: "a" }] },
  ),
  said({ type: "mcp_tool_listing", mcp_server_name: "m", tools: [{ name: "find", input_schema: { type: "object" } }] }),
];

const citations: readonly Json[] = [
  { type: "char_location", start_char_index: 0, end_char_index: 1, ...place },
  { type: "page_location", start_page_number: 1, end_page_number: 2, ...place },
  { type: "content_block_location", start_block_index: 0, end_block_index: 1, ...place },
  { type: "web_search_result_location", cited_text: "a", encrypted_index: "e", title: "t", url: "https://example.com" },
  {
    type: "search_result_location",
    cited_text: "a",
    search_result_index: 0,
    source: "https://example.com",
    start_block_index: 0,
    end_block_index: 1,
    title: null,
  },
];

/** Blocks beside those of every conversation, each where it may stand. */
export const rareBlocks: readonly Rare[] = [
  ...hostedPairs,
  ...citations.map((citation) => said({ type: "text", text: "a", citations: [citation] })),
  said({ type: "compaction", content: "so far", encrypted_content: "e", signature: "s", tool_changes: [] }),
  said({ type: "fallback", from: { model: "claude-opus-5" }, to: { model: "claude-sonnet-5" }, trigger: {} }),
  asked({ type: "container_upload", file_id: "file_013" }),
  asked({ type: "tool_addition", tool: { type: "tool_reference", name: "f" } }),
  system({ content: [{ type: "tool_removal", tool: { type: "mcp_tool_reference", server_name: "m", name: "find" } }] }),
  system({
    content: [
      {
        type: "tool_addition",
        tool: { type: "tool_definition", definition: { name: "g", input_schema: { type: "object" } } },
      },
    ],
  }),
  system({ content: [{ type: "text", text: "be brief" }], clear_at: "next_user_message" }),
  system({ content: "think", output_config: { effort: "high" } }),
  answered([{ type: "tool_reference", tool_name: "f" }]),
  answered(
    [
      {
        type: "browser_state",
        tabs: [{ tab_id: "1", title: "t", url: "https://example.com", active: true }],
        state_changes: [{ type: "tab_opened", tab_id: "1" }],
      },
    ],
    { toolset_name: "browser" },
  ),
  answered("ok", {}, { caller: direct, cache_control: { type: "ephemeral" } }),
  answered(
    "ok",
    { cache_control: { type: "ephemeral" } },
    { caller: { type: "code_execution_20250825", tool_id: id } },
  ),
];
