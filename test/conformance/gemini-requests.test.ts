import { GoogleGenAI, type GenerateContentParameters } from "@google/genai";
import {
  array,
  asyncProperty,
  assert,
  boolean,
  constant,
  constantFrom,
  double,
  integer,
  oneof,
  option,
  record,
  string,
  type Arbitrary,
} from "fast-check";
import { expect, test } from "vitest";
import { readBody } from "#shared/messages/body.ts";
import { createGeminiAdapter } from "../../services/worker/adapters/gemini/adapter.ts";

const words = string({ minLength: 1, unit: "grapheme" });
const text = record({ type: constant("text"), text: words });
const image = record({
  type: constant("image"),
  source: oneof(
    record({ type: constant("base64"), media_type: constantFrom("image/png", "image/webp"), data: constant("AAAA") }),
    record({ type: constant("url"), url: constant("https://a.example/b.jpeg") }),
  ),
});
const document = record(
  {
    type: constant("document"),
    source: oneof<Arbitrary<object>[]>(
      record({ type: constant("base64"), media_type: constant("application/pdf"), data: constant("AAAA") }),
      record({ type: constant("text"), media_type: constant("text/plain"), data: words }),
      record({ type: constant("content"), content: array(oneof<Arbitrary<object>[]>(text, image), { minLength: 1 }) }),
      record({ type: constant("url"), url: constant("https://a.example/b.pdf") }),
    ),
    title: words,
    context: words,
  },
  { requiredKeys: ["type", "source"] },
);
const found = record({
  type: constant("search_result"),
  source: words,
  title: words,
  content: array(text, { minLength: 1 }),
});
const input = oneof<Arbitrary<object>[]>(text, image, document, found);
const thinking = record({
  type: constant("thinking"),
  thinking: string(),
  signature: constantFrom(
    "EqQB",
    "sluice:openai",
    "sluice:gemini:call:gemini-3:c2ln",
    "sluice:gemini:text:gemini-3:YQ==",
  ),
});
const call = record({
  type: constant("tool_use"),
  name: constantFrom("f", "2nd", "_3rd"),
  input: record({ a: oneof(integer(), words) }, { requiredKeys: [] }),
});
const result = record(
  { is_error: boolean(), content: oneof(words, array(input, { minLength: 1, maxLength: 3 })) },
  { requiredKeys: [] },
);
const exchange = record({
  said: array(oneof<Arbitrary<object>[]>(text, thinking), { maxLength: 3 }),
  calls: array(record({ call, result }), { maxLength: 3 }),
  asked: array(input, { minLength: 1, maxLength: 3 }),
});

/** Every call has its result at the beginning of the next turn. */
const messages = record({
  first: array(input, { minLength: 1, maxLength: 3 }),
  exchanges: array(exchange, { maxLength: 3 }),
}).map(({ first, exchanges }) => [
  { role: "user", content: first },
  ...exchanges.flatMap(({ said, calls, asked }, turn) => [
    { role: "assistant", content: [...said, ...calls.map((one, at) => ({ ...one.call, id: `toolu_${turn}_${at}` }))] },
    {
      role: "user",
      content: [
        ...calls.map((one, at) => ({ type: "tool_result", tool_use_id: `toolu_${turn}_${at}`, ...one.result })),
        ...asked,
      ],
    },
  ]),
]);
const schema = { type: "object", properties: { a: { type: ["string", "null"] }, b: { enum: ["x", "y"] } } };
const tools = ["f", "2nd", "_3rd"].map((name) => ({ name, description: "d", input_schema: schema }));
const requests = record(
  {
    messages,
    max_tokens: integer({ min: 1, max: 9000 }),
    system: oneof<Arbitrary<unknown>[]>(words, array(text, { minLength: 1 })),
    tools: constantFrom(tools, [{ ...tools[0], strict: true }], [{ type: "bash_20250124", name: "bash" }]),
    tool_choice: constantFrom({ type: "auto" }, { type: "any", disable_parallel_tool_use: true }, { type: "none" }),
    thinking: constantFrom<object>(
      { type: "enabled", budget_tokens: 1024 },
      { type: "adaptive" },
      { type: "disabled" },
    ),
    output_config: record(
      { effort: constantFrom("low", "max"), format: constant({ type: "json_schema", schema }) },
      { requiredKeys: [] },
    ),
    temperature: double({ min: 0, max: 1, noNaN: true }),
    top_p: double({ min: 0, max: 1, noNaN: true }),
    top_k: integer({ min: 1, max: 64 }),
    stop_sequences: array(words, { minLength: 1, maxLength: 5 }),
    metadata: constant({ user_id: "u" }),
  },
  { requiredKeys: ["messages", "max_tokens"] },
);

interface Body {
  readonly contents: GenerateContentParameters["contents"];
  readonly generationConfig: object;
}

/** What the SDK makes of the members of our body: it throws for what it does not know, and leaves out what has no name. */
async function throughSdk({ contents, generationConfig, ...config }: Body, model: string): Promise<unknown> {
  let sent: unknown;
  const capture = (_: unknown, init?: RequestInit): Promise<Response> => {
    sent = JSON.parse(init?.body as string);
    return Promise.resolve(Response.json({ candidates: [] }));
  };
  const client = new GoogleGenAI({ apiKey: "key", httpOptions: { fetch: capture } });
  await client.models.generateContent({ model, contents, config: { ...config, ...generationConfig } });
  return sent;
}

test("whatever a caller may ask goes out in words that Google's SDK knows all of", async () => {
  const adapter = createGeminiAdapter({
    type: "gemini",
    api: "ai-studio",
    baseUrl: "https://generativelanguage.googleapis.com",
    headers: {},
    connections: 1,
    threads: false,
    models: {},
  });
  await assert(
    asyncProperty(
      requests,
      constantFrom("gemini-3-pro", "gemini-2.5-flash"),
      option(constant(true)),
      async (asked, model, streams) => {
        const body = Buffer.from(
          JSON.stringify({ model: "claude-opus-5", ...asked, ...(streams ? { stream: true } : {}) }),
        );
        const { splices, stream, model: askedModel } = readBody(body, "messages");
        const headers = { "anthropic-version": "2023-06-01" };
        const encoded = adapter.encode(
          { id: "call_1", operation: "messages", stream, askedModel, headers, body, splices, refusedBetas: undefined },
          { provider: "gemini", model },
          { credential: undefined, now: 0 },
        );
        const ours = JSON.parse(Buffer.concat([...encoded.body]).toString()) as Body;
        expect(await throughSdk(ours, model)).toEqual(ours);
      },
    ),
    { numRuns: 300 },
  );
});
