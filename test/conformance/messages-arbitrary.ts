import * as fc from "fast-check";
import type { Arbitrary } from "fast-check";

type Json = Readonly<Record<string, unknown>>;

/** How often each kind of block, tool and parameter was made; what a property has covered. */
export type Coverage = Map<string, number>;

const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== "");
const name = fc.stringMatching(/^[a-zA-Z0-9_-]{1,24}$/);
const base64 = fc.constantFrom("aGVsbG8=", "iVBORw0KGgo=", "JVBERi0xLjQ=");
const optional = <T>(value: Arbitrary<T>): Arbitrary<T | undefined> => fc.option(value, { nil: undefined, freq: 2 });
/** Most targets refuse these, and a body that is always refused shows nothing else. */
const rare = <T>(value: Arbitrary<T>): Arbitrary<T | undefined> =>
  fc.oneof({ weight: 24, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
const cacheControl = optional(fc.constantFrom({ type: "ephemeral" }, { type: "ephemeral", ttl: "1h" }));

const text = fc.record({ type: fc.constant("text"), text: word, cache_control: cacheControl });
const imageSource = fc.oneof(
  fc.record({
    type: fc.constant("base64"),
    media_type: fc.constantFrom("image/png", "image/jpeg", "image/gif", "image/webp"),
    data: base64,
  }),
  fc.constant({ type: "url", url: "https://example.com/a.png" }),
  fc.constant({ type: "file", file_id: "file_011" }),
);
const image = fc.record({ type: fc.constant("image"), source: imageSource, cache_control: cacheControl });
const document = fc.record({
  type: fc.constant("document"),
  source: fc.oneof(
    fc.record({ type: fc.constant("base64"), media_type: fc.constant("application/pdf"), data: base64 }),
    fc.record({ type: fc.constant("text"), media_type: fc.constant("text/plain"), data: word }),
    fc.record({
      type: fc.constant("content"),
      content: fc.oneof(word, fc.array(text, { minLength: 1, maxLength: 2 })),
    }),
    fc.constant({ type: "url", url: "https://example.com/a.pdf" }),
    fc.constant({ type: "file", file_id: "file_012" }),
  ),
  title: optional(word),
  context: optional(word),
  citations: optional(fc.record({ enabled: fc.boolean() })),
});
const searchResult = fc.record({
  type: fc.constant("search_result"),
  source: fc.constant("https://example.com"),
  title: word,
  content: fc.array(text, { minLength: 1, maxLength: 2 }),
});
const userBlock = fc.oneof(
  { weight: 6, arbitrary: text },
  { weight: 2, arbitrary: image },
  { weight: 2, arbitrary: document },
  { weight: 1, arbitrary: searchResult },
  { weight: 1, arbitrary: fc.constant({ type: "container_upload", file_id: "file_013" }) },
);
const thinking = fc.oneof(
  fc.record({
    type: fc.constant("thinking"),
    thinking: word,
    signature: fc.constantFrom(
      "EqQBCg==",
      "",
      "sluice:openai",
      "sluice:openai-responses:00000000:rs_1:gAAA=",
      "sluice:gemini:call:gemini-3-pro:c2ln",
    ),
  }),
  fc.constant({ type: "redacted_thinking", data: "EmwKAhgB" }),
);
const serverBlocks = fc.constantFrom(
  { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
  { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
);

const resultContent = fc.oneof(word, fc.array(fc.oneof(text, image, document, searchResult), { maxLength: 2 }));

/** An assistant's turn that calls tools, and the turn with their results. */
const exchange = fc
  .tuple(
    fc.array(fc.oneof(text, thinking), { maxLength: 2 }),
    fc.array(fc.record({ name, input: fc.dictionary(name, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.array(fc.record({ content: optional(resultContent), is_error: optional(fc.boolean()) }), {
      minLength: 3,
      maxLength: 3,
    }),
    fc.array(userBlock, { maxLength: 1 }),
    fc.nat(1_000_000),
  )
  .map(([said, calls, results, more, seed]): Json[] => {
    const uses = calls.map((call, index) => ({ type: "tool_use", id: `toolu_${seed}_${index}`, ...call }));
    const answers = uses.map(({ id }, index) => ({ type: "tool_result", tool_use_id: id, ...results[index] }));
    return [
      { role: "assistant", content: [...said, ...uses] },
      { role: "user", content: [...answers, ...more] },
    ];
  });
const talk = fc
  .tuple(
    fc.oneof(
      word,
      fc.array(fc.oneof({ weight: 5, arbitrary: text }, thinking, serverBlocks), { minLength: 1, maxLength: 3 }),
    ),
    userBlock,
  )
  .map(([said, asked]): Json[] => [
    { role: "assistant", content: said },
    { role: "user", content: [asked] },
  ]);
const systemTurn = fc.record({ role: fc.constant("system"), content: word }).map((turn): Json[] => [turn]);

const messages = fc
  .tuple(
    fc.oneof(word, fc.array(userBlock, { minLength: 1, maxLength: 3 })),
    fc.array(fc.oneof({ weight: 3, arbitrary: exchange }, { weight: 3, arbitrary: talk }, systemTurn), {
      maxLength: 3,
    }),
    optional(fc.constant({ role: "assistant", content: "The answer is" })),
  )
  .map(([first, turns, prefill]) => [{ role: "user", content: first }, ...turns.flat(), ...(prefill ? [prefill] : [])]);

const schema = fc.constantFrom(
  { type: "object" },
  { type: "object", properties: {} },
  {
    type: "object",
    properties: { a: { type: "string", enum: ["x"] }, b: { type: ["integer", "null"] }, c: { $ref: "#/$defs/d" } },
    required: ["a"],
    additionalProperties: false,
    $defs: { d: { type: "array", items: { anyOf: [{ type: "number" }, { type: "boolean" }] } } },
  },
);
const tool = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: optional(fc.constant("custom")),
      name,
      description: optional(word),
      input_schema: schema,
      strict: optional(fc.boolean()),
      cache_control: cacheControl,
      eager_input_streaming: optional(fc.boolean()),
      defer_loading: optional(fc.boolean()),
      input_examples: optional(fc.constant([{}])),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Json>(
      { type: "bash_20250124", name: "bash" },
      { type: "text_editor_20250728", name: "str_replace_based_edit_tool" },
      { type: "memory_20250818", name: "memory" },
      { type: "web_search_20250305", name: "web_search", max_uses: 1 },
      { type: "web_fetch_20250910", name: "web_fetch" },
      { type: "code_execution_20250825", name: "code_execution" },
      { type: "tool_search_tool_regex_20251119", name: "tool_search_tool_regex" },
    ),
  },
);
const tools = fc.uniqueArray(tool, { selector: ({ name: own }) => own, minLength: 1, maxLength: 4 });

const parameters = fc.record({
  system: optional(fc.oneof(word, fc.array(text, { minLength: 1, maxLength: 2 }))),
  temperature: optional(fc.double({ min: 0, max: 1, noNaN: true })),
  top_p: optional(fc.double({ min: 0, max: 1, noNaN: true })),
  top_k: rare(fc.nat(500)),
  stop_sequences: rare(fc.array(word, { maxLength: 6 })),
  stream: optional(fc.boolean()),
  metadata: optional(fc.record({ user_id: optional(word) })),
  service_tier: optional(fc.constantFrom("auto", "standard_only")),
  inference_geo: rare(fc.constantFrom("global", "us")),
  speed: rare(fc.constantFrom("standard", "fast")),
  cache_control: cacheControl,
  container: rare(fc.constant("container_011")),
  mcp_servers: rare(fc.constant([{ type: "url", name: "m", url: "https://example.com" }])),
  context_management: rare(fc.constant({ edits: [{ type: "clear_tool_uses_20250919" }] })),
  thinking: optional(
    fc.constantFrom<Json>(
      { type: "adaptive" },
      { type: "adaptive", display: "omitted" },
      { type: "enabled", budget_tokens: 1_024 },
      { type: "disabled" },
    ),
  ),
  output_config: optional(
    fc.record({
      effort: optional(fc.constantFrom("low", "medium", "high", "xhigh", "max")),
      format: optional(schema.map((own) => ({ type: "json_schema", schema: own }))),
    }),
  ),
});

const choice = fc.constantFrom("auto", "any", "tool", "none");

/** A valid Messages request for a model: every kind of block, tool and parameter, each alone and together. */
export function messagesRequest(models: readonly string[]): Arbitrary<Json> {
  return fc
    .tuple(fc.constantFrom(...models), messages, parameters, optional(tools), optional(choice), optional(fc.boolean()))
    .map(([model, turns, given, ownTools, chosen, isSerial]) => {
      const first = ownTools?.[0]?.name;
      const named = chosen === "tool" ? { name: first } : {};
      const serial = isSerial === undefined || chosen === "none" ? {} : { disable_parallel_tool_use: isSerial };
      const toolChoice = ownTools && chosen ? { tool_choice: { type: chosen, ...named, ...serial } } : {};
      const request = { model, max_tokens: 4_096, messages: turns, ...given, tools: ownTools, ...toolChoice };
      return JSON.parse(JSON.stringify(request)) as Json;
    });
}

/** Notes what a request holds: its members, and the types of everything in it. */
export function cover(request: Json, coverage: Coverage): void {
  for (const member of Object.keys(request)) count(coverage, member);
  JSON.stringify(request, (_, value: unknown) => {
    if (typeof value === "object" && value !== null && "type" in value && typeof value.type === "string")
      count(coverage, `type ${value.type}`);
    return value;
  });
}

function count(coverage: Coverage, kind: string): void {
  coverage.set(kind, (coverage.get(kind) ?? 0) + 1);
}
