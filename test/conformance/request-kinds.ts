import type {
  BetaContentBlockParam,
  BetaContextManagementConfig,
  BetaImageBlockParam,
  BetaMessageParam,
  BetaRequestDocumentBlock,
  BetaTextCitationParam,
  BetaThinkingConfigParam,
  BetaToolChoice,
  BetaToolResultContentBlockParam,
  BetaToolUnion,
  MessageCreateParams,
} from "@anthropic-ai/sdk/resources/beta/messages";
import type { Json } from "./arbitrary/words.ts";

/** How often each kind of member, block and tool was made; what a property has covered. */
export type Coverage = Map<string, number>;

type Typed = { readonly type?: string | null };
type TypeOf<Union extends Typed> = NonNullable<Union["type"]>;
/** Every one of the vendor's words: a list that forgets one does not compile. */
type All<Words extends string> = Readonly<Record<Words, true>>;

/** Those that the vendor's SDK sends as headers are none of the body's. */
type BodyMember = Exclude<keyof MessageCreateParams, "betas" | "user_profile_id" | "workspace_id">;
/** Of the API's version 2023-06-01, which the SDK has left behind. */
type Sampling = "temperature" | "top_p" | "top_k";

const members: All<BodyMember | Sampling> = {
  model: true,
  max_tokens: true,
  messages: true,
  system: true,
  cache_control: true,
  container: true,
  diagnostics: true,
  inference_geo: true,
  metadata: true,
  output_config: true,
  service_tier: true,
  speed: true,
  stop_sequences: true,
  stream: true,
  thinking: true,
  tool_choice: true,
  tools: true,
  temperature: true,
  top_p: true,
  top_k: true,
  context_management: true,
  compaction: true,
  mcp_servers: true,
  fallbacks: true,
  fallback_credit_token: true,
  billing_policy: true,
  thread: true,
  output_format: true,
};

const roles: All<BetaMessageParam["role"]> = { user: true, assistant: true, system: true };

const blocks: All<TypeOf<BetaContentBlockParam | BetaToolResultContentBlockParam>> = {
  text: true,
  image: true,
  document: true,
  search_result: true,
  thinking: true,
  redacted_thinking: true,
  tool_use: true,
  tool_result: true,
  server_tool_use: true,
  web_search_tool_result: true,
  web_fetch_tool_result: true,
  code_execution_tool_result: true,
  bash_code_execution_tool_result: true,
  text_editor_code_execution_tool_result: true,
  tool_search_tool_result: true,
  container_upload: true,
  mcp_tool_use: true,
  mcp_tool_result: true,
  mcp_tool_listing: true,
  advisor_tool_result: true,
  compaction: true,
  fallback: true,
  tool_addition: true,
  tool_removal: true,
  tool_reference: true,
  browser_state: true,
};

const tools: All<TypeOf<BetaToolUnion>> = {
  custom: true,
  bash_20241022: true,
  bash_20250124: true,
  text_editor_20241022: true,
  text_editor_20250124: true,
  text_editor_20250429: true,
  text_editor_20250728: true,
  memory_20250818: true,
  computer_20241022: true,
  computer_20250124: true,
  computer_20251124: true,
  computer_toolset_20260801: true,
  browser_toolset_20260801: true,
  web_search_20250305: true,
  web_search_20260209: true,
  web_search_20260318: true,
  web_fetch_20250910: true,
  web_fetch_20260209: true,
  web_fetch_20260309: true,
  web_fetch_20260318: true,
  code_execution_20250522: true,
  code_execution_20250825: true,
  code_execution_20260120: true,
  code_execution_20260521: true,
  tool_search_tool_regex: true,
  tool_search_tool_regex_20251119: true,
  tool_search_tool_bm25: true,
  tool_search_tool_bm25_20251119: true,
  advisor_20260301: true,
  mcp_toolset: true,
};

const choices: All<TypeOf<BetaToolChoice>> = { auto: true, any: true, tool: true, none: true };
const thoughts: All<TypeOf<BetaThinkingConfigParam>> = {
  enabled: true,
  adaptive: true,
  disabled: true,
  between_tools: true,
};
const images: All<TypeOf<BetaImageBlockParam["source"]>> = { base64: true, url: true, file: true };
const documents: All<TypeOf<BetaRequestDocumentBlock["source"]>> = { ...images, text: true, content: true };
const citations: All<TypeOf<BetaTextCitationParam>> = {
  char_location: true,
  page_location: true,
  content_block_location: true,
  web_search_result_location: true,
  search_result_location: true,
};
const edits: All<TypeOf<NonNullable<BetaContextManagementConfig["edits"]>[number]>> = {
  clear_tool_uses_20250919: true,
  clear_thinking_20251015: true,
  compact_20260112: true,
};

/** Members of members, of which the vendor's types are too many to be listed. */
const inner = [
  ["text", "cache_control citations"],
  ["image", "cache_control transformations"],
  ["document", "cache_control title context citations"],
  ["search_result", "cache_control citations"],
  ["tool_use", "cache_control caller toolset_name"],
  ["tool_result", "cache_control content is_error toolset_name"],
  ["server_tool_use", "caller"],
  ["system", "clear_at output_config"],
  ["custom", "description strict cache_control eager_input_streaming defer_loading input_examples allowed_callers"],
  ["web_search_20250305", "max_uses allowed_domains"],
  ["web_search_20260209", "user_location"],
  ["web_search_20260318", "blocked_domains response_inclusion"],
  ["web_fetch_20260209", "max_content_tokens citations"],
  ["web_fetch_20260309", "use_cache"],
  ["web_fetch_20260318", "url_sources"],
  ["mcp_toolset", "default_config configs tools"],
  ["auto", "disable_parallel_tool_use"],
  ["any", "disable_parallel_tool_use"],
  ["tool", "disable_parallel_tool_use"],
  ["adaptive", "display block_binding"],
  ["enabled", "budget_tokens display"],
  ["output_config", "effort format task_budget"],
  ["metadata", "user_id"],
  ["compact_20260112", "trigger pause_after_compaction"],
  ["clear_tool_uses_20250919", "trigger keep clear_at_least exclude_tools clear_tool_inputs"],
  ["clear_thinking_20251015", "keep"],
] as const;

/** All kinds of things that a Messages request may hold. */
export const requestKinds: readonly string[] = [
  ...named("member", members),
  ...named("role", roles),
  ...named("block", blocks),
  ...named("tools", tools),
  ...named("tool_choice", choices),
  ...named("thinking", thoughts),
  ...named("image.source", images),
  ...named("document.source", documents),
  ...named("citations", citations),
  ...named("edits", edits),
  ...inner.flatMap(([owner, names]) => names.split(" ").map((name) => `${owner}.${name}`)),
];

function named(what: string, words: Readonly<Record<string, true>>): string[] {
  return Object.keys(words).map((kind) => `${what} ${kind}`);
}

/** Notes what a request holds. */
export function cover(request: Json, coverage: Coverage): void {
  for (const member of Object.keys(request)) count(coverage, `member ${member}`);
  coverInner(request, { owner: "", name: "" }, coverage);
}

interface Place {
  /** The type or the name of what the value is in. */
  readonly owner: string;
  /** The name it has there. */
  readonly name: string;
}

function coverInner(value: unknown, at: Place, coverage: Coverage): void {
  if (Array.isArray(value)) for (const item of value) coverInner(item, at, coverage);
  else if (typeof value === "object" && value !== null) coverFields(value as Json, at, coverage);
}

function coverFields(fields: Json, at: Place, coverage: Coverage): void {
  const own = typeOf(fields, at.name);
  if (own !== undefined) count(coverage, `${placeName(at)} ${own}`);
  const owner = own ?? at.name;
  for (const [name, member] of Object.entries(fields)) {
    // The caller's own words.
    if (name === "input" || name.endsWith("schema")) continue;
    count(coverage, `${owner}.${name}`);
    coverInner(member, { owner, name }, coverage);
  }
}

function typeOf({ type, role }: Json, name: string): string | undefined {
  if (typeof type === "string") return type;
  if (typeof role === "string") return role;
  return name === "tools" ? "custom" : undefined;
}

function placeName({ owner, name }: Place): string {
  if (name === "content" || name === "system") return "block";
  if (name === "messages") return "role";
  return name === "source" ? `${owner}.source` : name;
}

function count(coverage: Coverage, kind: string): void {
  coverage.set(kind, (coverage.get(kind) ?? 0) + 1);
}
