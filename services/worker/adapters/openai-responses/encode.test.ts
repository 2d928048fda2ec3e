import { describe, expect, test } from "vitest";
import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { Operation } from "#shared/messages/call.ts";
import type { UpstreamRequest } from "../adapter.ts";
import { createResponsesAdapter } from "./adapter.ts";
import { reasoningSignature } from "./reasoning-signature.ts";
import { responsesWire } from "./wire.ts";

const config: OpenaiProviderConfig = {
  type: "openai",
  api: "responses",
  baseUrl: "https://api.openai.com/v1",
  apiKey: "secret",
  headers: {},
  connections: 1,
  threads: false,
  models: {},
  maxTokensField: "max_completion_tokens",
};

interface Given {
  readonly config?: Partial<OpenaiProviderConfig>;
  readonly askedModel?: string;
  readonly model?: string;
  readonly stream?: boolean;
  readonly operation?: Operation;
}

function encode(members: object, given: Given = {}): UpstreamRequest {
  const { askedModel = "gpt-5", model = "gpt-5", stream = false, operation = "messages" } = given;
  const fields = { model: askedModel, max_tokens: 99, messages: [{ role: "user", content: "hi" }], ...members };
  const body = Buffer.from(JSON.stringify(fields));
  const call = {
    id: "call_1",
    operation,
    stream,
    askedModel,
    headers: { "anthropic-version": "2023-06-01" },
    body,
    splices: readBody(body, operation).splices,
    refusedBetas: undefined,
  };
  const adapter = createResponsesAdapter({ ...config, ...given.config });
  return adapter.encode(call, { provider: "p", model }, { credential: undefined, now: 0 });
}

function bodyOf(members: object, given?: Given): Record<string, unknown> {
  return JSON.parse(Buffer.concat([...encode(members, given).body]).toString()) as Record<string, unknown>;
}

function inputOf(members: object, given?: Given): unknown {
  return bodyOf(members, given)["input"];
}

const user = (...content: object[]): object => ({ role: "user", content });
const assistant = (...content: object[]): object => ({ role: "assistant", content });
const text = (words: string): object => ({ type: "text", text: words });
const thinking = (signature: string, words = "hm"): object => ({ type: "thinking", thinking: words, signature });
const call = (id: string): object => ({ type: "tool_use", id, name: "f", input: { a: 1 } });
const wireCall = (id: string): object => ({ type: "function_call", call_id: id, name: "f", arguments: '{"a":1}' });
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } };
const imagePart = { type: "input_image", image_url: "data:image/png;base64,AA==", detail: "auto" };

test("goes to the base URL's path with the key, and leaves nothing there", () => {
  const request = encode({}, { stream: true });
  expect(request.path).toBe("/v1/responses");
  expect(request.headers).toEqual(expect.arrayContaining(["authorization", "Bearer secret", "text/event-stream"]));
  expect(bodyOf({}, { stream: true })).toEqual({
    model: "gpt-5",
    input: [{ role: "user", content: "hi" }],
    max_output_tokens: 99,
    store: false,
    stream: true,
  });
});

test("a count is of all that the model reads, and says nothing of the answer", () => {
  const tools = [{ name: "f", input_schema: { type: "object" } }];
  const members = { system: "s", tools, temperature: 0.5, thinking: { type: "adaptive" }, stop_sequences: ["x"] };
  const given = { operation: "count_tokens" } as const;
  expect(encode(members, given).path).toBe("/v1/responses/input_tokens");
  expect(bodyOf(members, given)).toEqual({
    model: "gpt-5",
    instructions: "s",
    input: [{ role: "user", content: "hi" }],
    tools: [{ type: "function", name: "f", parameters: { type: "object", properties: {} }, strict: false }],
    reasoning: { effort: "medium", summary: "auto" },
  });
});

describe("a conversation", () => {
  test("keeps the order of what was said, the results right behind their calls", () => {
    const results = [
      { type: "tool_result", tool_use_id: "t1", content: [text("one"), image] },
      { type: "tool_result", tool_use_id: "t2", content: [text("no"), text("way")], is_error: true },
      { type: "tool_result", tool_use_id: "t3", content: [image], is_error: true },
      { type: "tool_result", tool_use_id: "t4" },
    ];
    const calls = ["t1", "t2", "t3", "t4"].map(call);
    const messages = [
      user(text("go")),
      assistant(text("we"), text("ll"), ...calls, text("hm")),
      user(text("and?"), ...results),
    ];
    expect(inputOf({ messages })).toEqual([
      { role: "user", content: "go" },
      { role: "assistant", content: "well" },
      ...["t1", "t2", "t3", "t4"].map(wireCall),
      { role: "assistant", content: "hm" },
      { type: "function_call_output", call_id: "t1", output: [{ type: "input_text", text: "one" }, imagePart] },
      { type: "function_call_output", call_id: "t2", output: "Error: no\nway" },
      { type: "function_call_output", call_id: "t3", output: [{ type: "input_text", text: "Error:" }, imagePart] },
      { type: "function_call_output", call_id: "t4", output: "" },
      { role: "user", content: "and?" },
    ]);
  });

  test("system words stand before it, or in their place within", () => {
    const messages = [user(text("a")), { role: "system", content: "now" }, assistant(text("b")), user(text("c"))];
    const body = bodyOf({ system: [text("be"), text("kind")], messages });
    expect(body["instructions"]).toBe("be\n\nkind");
    expect(body["input"]).toMatchObject([{}, { role: "developer", content: "now" }, {}, {}]);
  });

  test("pictures and files, by their bytes and by address", () => {
    const pdf = { type: "base64", media_type: "application/pdf", data: "JVBE" };
    const parts = [
      { type: "document", title: "a/b", source: pdf },
      { type: "document", source: { type: "url", url: "https://x/y.pdf" } },
      { type: "image", source: { type: "url", url: "https://x/y.png" } },
      { type: "document", source: { type: "text", media_type: "text/plain", data: "words" } },
    ];
    expect(inputOf({ messages: [user(...parts)] })).toEqual([
      {
        role: "user",
        content: [
          { type: "input_text", text: "a/b" },
          { type: "input_file", filename: "a_b.pdf", file_data: "data:application/pdf;base64,JVBE" },
          { type: "input_file", file_url: "https://x/y.pdf" },
          { type: "input_image", image_url: "https://x/y.png", detail: "auto" },
          { type: "input_text", text: "words" },
        ],
      },
    ]);
  });
});

describe("reasoning", () => {
  const { account } = responsesWire(config);
  const item = { account, id: "rs_1", encrypted: "gAAA:+/=" };
  const of = (signature: string, given?: Given, words?: string): unknown =>
    inputOf({ messages: [user(text("a")), assistant(thinking(signature, words), text("b")), user(text("c"))] }, given);

  test("goes back as the item that it was", () => {
    const expected = { type: "reasoning", id: "rs_1", encrypted_content: "gAAA:+/=" };
    expect(of(reasoningSignature(item))).toMatchObject([
      {},
      { ...expected, summary: [{ type: "summary_text", text: "hm" }] },
      { role: "assistant", content: "b" },
      {},
    ]);
    expect(of(reasoningSignature(item), {}, "")).toMatchObject([{}, { ...expected, summary: [] }, {}, {}]);
  });

  test.each([
    ["Claude's", "EqQB"],
    ["that of Chat Completions", "sluice:openai"],
    ["what cannot be given back", reasoningSignature()],
    ["what another account alone can read", reasoningSignature({ ...item, account: "00000000" })],
  ])("%s says nothing to this model", (_, signature) => {
    const messages = [user(text("a")), assistant(thinking(signature), text("b")), user(text("c"))];
    expect(encode({ messages }).notes).toEqual(["dropped: thinking of another model"]);
    expect(inputOf({ messages })).toHaveLength(3);
  });

  test("is kept from a model that does not reason", () => {
    expect(of(reasoningSignature(item), { model: "gpt-4.1" })).toHaveLength(3);
  });

  test("a server that shows it gets it back as it was shown, the vendor itself not", () => {
    const other = { baseUrl: "http://127.0.0.1:8000/v1" };
    const shown = (given: Partial<OpenaiProviderConfig>): string =>
      reasoningSignature({ account: responsesWire({ ...config, ...given }).account, id: "rs_1", encrypted: "" });
    expect(of(shown(other), { config: other })).toMatchObject([
      {},
      { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "hm" }] },
      {},
      {},
    ]);
    expect(of(shown({}))).toHaveLength(3);
  });

  test("that led to nothing is left out", () => {
    const messages = [user(text("a")), assistant(thinking(reasoningSignature(item))), user(text("c"))];
    const { notes } = encode({ messages });
    expect(inputOf({ messages })).toEqual([
      { role: "user", content: "a" },
      { role: "user", content: "c" },
    ]);
    expect(notes).toEqual(["dropped: thinking that led to nothing"]);
  });

  const include = ["reasoning.encrypted_content"];
  test.each([
    [{ thinking: { type: "adaptive" } }, "gpt-5", { effort: "medium", summary: "auto" }, include],
    [{ thinking: { type: "adaptive", display: "omitted" } }, "gpt-5", { effort: "medium" }, include],
    [
      { thinking: { type: "adaptive" }, output_config: { effort: "xhigh" } },
      "gpt-5",
      { effort: "xhigh", summary: "auto" },
      include,
    ],
    [{ output_config: { effort: "low" } }, "gpt-5", { effort: "low" }, undefined],
    [{ thinking: { type: "disabled" } }, "gpt-5.2", { effort: "none" }, undefined],
    [{}, "gpt-5", undefined, undefined],
  ])("%j is asked of %s as %j", (...[members, model, reasoning, included]) => {
    const body = bodyOf(members, { model });
    expect([body["reasoning"], body["include"]]).toEqual([reasoning, included]);
  });
});

describe("options", () => {
  const tools = [{ name: "f", description: "d", input_schema: { type: "object", properties: {} }, strict: true }];
  test.each([
    ["auto", {}, { tool_choice: "auto" }],
    ["any", {}, { tool_choice: "required" }],
    ["none", {}, { tool_choice: "none" }],
    ["tool", { name: "f" }, { tool_choice: { type: "function", name: "f" } }],
    ["auto", { disable_parallel_tool_use: true }, { tool_choice: "auto", parallel_tool_calls: false }],
  ])("tool_choice %s %j", (type, rest, expected) => {
    expect(bodyOf({ tools, tool_choice: { type, ...rest } })).toMatchObject(expected);
  });

  test("whether a function is strict is said, be it or not", () => {
    const closed = { type: "object", properties: {}, additionalProperties: false };
    const strict = (schema: object): unknown => bodyOf({ tools: [{ ...tools[0], input_schema: schema }] })["tools"];
    expect(strict(closed)).toMatchObject([{ type: "function", name: "f", description: "d", strict: true }]);
    expect(strict({ type: "object" })).toMatchObject([{ strict: false }]);
  });

  test("a format and sampling", () => {
    const schema = { type: "object", properties: {}, additionalProperties: false };
    const members = { temperature: 0.5, top_p: 0.9, output_config: { format: { type: "json_schema", schema } } };
    expect(bodyOf(members)).toMatchObject({
      temperature: 0.5,
      top_p: 0.9,
      text: { format: { type: "json_schema", name: "answer", schema, strict: true } },
    });
  });

  test.each([
    [{ stop_sequences: ["a"] }, /^stop_sequences: /],
    [{ top_k: 3 }, /^top_k: /],
    [{ max_tokens: 15 }, /^max_tokens: .*16 at least/],
    [{ messages: [user(text("a")), assistant(text("b"))] }, /^messages\.1\.content\.0: /],
  ])("%j is refused by its name", (members, message) => {
    expect(() => encode(members)).toThrow(message);
  });

  test("where it stands in for Claude, what it lacks is adapted and noted, but never a stop", () => {
    const members = {
      max_tokens: 1,
      top_k: 3,
      temperature: 0,
      metadata: {},
      service_tier: "auto",
      thinking: { type: "enabled", budget_tokens: 2000 },
      messages: [user(text("a")), assistant(text("b"))],
    };
    const given = { askedModel: "claude-opus-4-6" };
    expect(encode(members, given).notes).toEqual([
      "dropped: metadata",
      "dropped: service_tier",
      "adapted: prefill as an earlier turn",
      "adapted: thinking.budget_tokens as effort",
      "adapted: max_tokens raised to 16",
      "adapted: top_k left out",
      "adapted: sampling parameters left out",
    ]);
    expect(bodyOf(members, given)).toMatchObject({ max_output_tokens: 16, reasoning: { effort: "low" } });
    const plain = bodyOf(members, { ...given, model: "gpt-4.1" });
    expect(plain).toMatchObject({ temperature: 0 });
    expect(Object.keys(plain)).not.toEqual(expect.arrayContaining(["reasoning"]));
    expect(plain).not.toHaveProperty("include");
    expect(() => encode({ stop_sequences: ["a"] }, given)).toThrow(/^stop_sequences: /);
  });
});
