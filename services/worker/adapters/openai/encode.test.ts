import { describe, expect, test } from "vitest";
import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { UpstreamRequest } from "../adapter.ts";
import { createOpenaiAdapter } from "./adapter.ts";

const config: OpenaiProviderConfig = {
  type: "openai",
  api: "chat",
  baseUrl: "http://127.0.0.1:1/v1",
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
}

function encode(members: object, given: Given = {}): UpstreamRequest {
  const { askedModel = "gpt-5", model = "gpt-5", stream = false } = given;
  const fields = { model: askedModel, max_tokens: 9, messages: [{ role: "user", content: "hi" }], ...members };
  const body = Buffer.from(JSON.stringify(fields));
  const call = {
    id: "call_1",
    operation: "messages" as const,
    stream,
    askedModel,
    headers: { "anthropic-version": "2023-06-01" },
    body,
    splices: readBody(body, "messages").splices,
    refusedBetas: undefined,
  };
  const adapter = createOpenaiAdapter({ ...config, ...given.config });
  return adapter.encode(call, { provider: "p", model }, { credential: undefined, now: 0 });
}

function bodyOf(members: object, given?: Given): Record<string, unknown> {
  return JSON.parse(Buffer.concat([...encode(members, given).body]).toString()) as Record<string, unknown>;
}

function messagesOf(members: object, given?: Given): unknown {
  return bodyOf(members, given)["messages"];
}

const header = (request: UpstreamRequest, name: string): string | undefined =>
  request.headers[request.headers.indexOf(name) + 1];

test("goes to the base URL's path with the key", () => {
  const request = encode({}, { config: { organization: "o" } });
  expect(request.path).toBe("/v1/chat/completions");
  expect(header(request, "authorization")).toBe("Bearer secret");
  expect(header(request, "openai-organization")).toBe("o");
  const azure = encode(
    {},
    { config: { baseUrl: "http://h/openai/v1?api-version=1", headers: { authorization: "x" } } },
  );
  expect(azure.path).toBe("/openai/v1/chat/completions?api-version=1");
  expect(azure.headers.filter((name) => name === "authorization")).toHaveLength(1);
});

test("there is nothing to count tokens with", () => {
  expect(createOpenaiAdapter(config).counts).toBe(false);
});

test("asks a stream for its usage, and an old server in its own word for the length", () => {
  expect(bodyOf({}, { stream: true })).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  expect(bodyOf({}, { config: { maxTokensField: "max_tokens" } })).toMatchObject({ max_tokens: 9 });
});

const call = (id: string, name = "f"): object => ({ type: "tool_use", id, name, input: { a: 1 } });
const wireCall = (id: string, name = "f"): object => ({
  id,
  type: "function",
  function: { name, arguments: '{"a":1}' },
});
const user = (...content: object[]): object => ({ role: "user", content });
const assistant = (...content: object[]): object => ({ role: "assistant", content });
const text = (words: string): object => ({ type: "text", text: words });
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } };
const imagePart = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };

describe("a conversation", () => {
  test("parallel results follow their calls, pictures in them and the user's words after all results", () => {
    const results = [
      { type: "tool_result", tool_use_id: "t1", content: [text("one"), image] },
      { type: "tool_result", tool_use_id: "t2", content: "no", is_error: true },
    ];
    const messages = [
      user(text("go")),
      assistant(text("well"), call("t1"), call("t2")),
      user(...results, text("and?")),
    ];
    expect(messagesOf({ system: "s", messages })).toEqual([
      { role: "system", content: "s" },
      { role: "user", content: "go" },
      { role: "assistant", content: "well", tool_calls: [wireCall("t1"), wireCall("t2")] },
      { role: "tool", tool_call_id: "t1", content: "one" },
      { role: "tool", tool_call_id: "t2", content: "Error: no" },
      { role: "user", content: [text("Attached to the result of t1:"), imagePart, text("and?")] },
    ]);
  });

  test("system words in the middle stay in their place", () => {
    const messages = [user(text("a")), { role: "system", content: "now" }, assistant(text("b")), user(text("c"))];
    expect(messagesOf({ messages })).toMatchObject([{}, { role: "system", content: "now" }, {}, {}]);
  });

  test("pictures and files", () => {
    const pdf = {
      type: "document",
      title: "a/b",
      source: { type: "base64", media_type: "application/pdf", data: "JVBE" },
    };
    const url = { type: "image", source: { type: "url", url: "https://x/y.png" } };
    const note = { type: "document", source: { type: "text", media_type: "text/plain", data: "words" } };
    const found = { type: "search_result", title: "t", source: "s", content: [text("c")] };
    expect(messagesOf({ messages: [user(pdf, url, note, found)] })).toEqual([
      {
        role: "user",
        content: [
          text("a/b"),
          { type: "file", file: { filename: "a_b.pdf", file_data: "data:application/pdf;base64,JVBE" } },
          { type: "image_url", image_url: { url: "https://x/y.png" } },
          text("words"),
          text("t\ns\nc"),
        ],
      },
    ]);
  });

  test("a document by URL is refused by its place", () => {
    const document = { type: "document", source: { type: "url", url: "https://x" } };
    expect(() => encode({ messages: [user(document)] })).toThrow(/^messages\.0\.content\.0\.source: /);
  });

  test("long names and ids are cut, the same at every place", () => {
    const name = "n".repeat(100);
    const id = `toolu_${"x".repeat(60)}`;
    const messages = [user(text("a")), assistant(call(id, name)), user({ type: "tool_result", tool_use_id: id })];
    const tools = [{ name, input_schema: { type: "object", properties: {} } }];
    const body = bodyOf({ messages, tools, tool_choice: { type: "tool", name } });
    const shortName = expect.stringMatching(/^n{55}_[0-9a-f]{8}$/) as string;
    const shortId = expect.stringMatching(/^call_[0-9a-f]{32}$/) as string;
    expect(body).toMatchObject({
      messages: [{}, { tool_calls: [{ id: shortId, function: { name: shortName } }] }, { tool_call_id: shortId }],
      tools: [{ function: { name: shortName } }],
      tool_choice: { function: { name: shortName } },
    });
  });

  test("reasoning goes back by the name it came by, Claude's and to the vendor itself not", () => {
    const thinking = (signature: string): object => ({ type: "thinking", thinking: "hm", signature });
    const of = (signature: string, given?: Given): unknown =>
      messagesOf({ messages: [user(text("a")), assistant(thinking(signature), text("b")), user(text("c"))] }, given);
    expect(of("sluice:openai")).toMatchObject([{}, { reasoning_content: "hm" }, {}]);
    expect(of("sluice:openai:reasoning")).toMatchObject([{}, { reasoning: "hm" }, {}]);
    for (const messages of [of("EqQB"), of("sluice:openai", { config: { baseUrl: "https://api.openai.com/v1" } })])
      expect(messages).toEqual([
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
        { role: "user", content: "c" },
      ]);
  });
});

describe("options", () => {
  const tools = [{ name: "f", input_schema: { type: "object" } }];
  test.each([
    ["auto", {}, { tool_choice: "auto" }],
    ["any", {}, { tool_choice: "required" }],
    ["none", {}, { tool_choice: "none" }],
    ["tool", { name: "f" }, { tool_choice: { type: "function", function: { name: "f" } } }],
    ["auto", { disable_parallel_tool_use: true }, { tool_choice: "auto", parallel_tool_calls: false }],
  ])("tool_choice %s %j", (type, rest, expected) => {
    expect(bodyOf({ tools, tool_choice: { type, ...rest } })).toMatchObject(expected);
  });

  const closed = {
    type: "object",
    properties: { a: { type: "string" } },
    required: ["a"],
    additionalProperties: false,
  };
  test.each([
    [closed, true],
    [{ ...closed, required: [] }, false],
    [{ type: "object", properties: {} }, false],
    [{ ...closed, properties: { a: { type: "object", properties: { b: {} } } } }, false],
    [{ ...closed, properties: { a: { type: "array", items: closed } } }, true],
  ])("the format %j is strict: %s", (schema, strict) => {
    expect(bodyOf({ output_config: { format: { type: "json_schema", schema } } })["response_format"]).toEqual({
      type: "json_schema",
      json_schema: { name: "answer", schema, strict },
    });
  });

  test.each([
    [{ output_config: { effort: "max" } }, "gpt-5", "max"],
    [{ thinking: { type: "enabled", budget_tokens: 12_000 } }, "o4-mini", "high"],
    [{ thinking: { type: "enabled", budget_tokens: 5000 } }, "o4-mini", "medium"],
    [{ thinking: { type: "enabled", budget_tokens: 500 } }, "o4-mini", "minimal"],
    [{ thinking: { type: "adaptive" } }, "kimi-k3", "medium"],
    [{ thinking: { type: "disabled" } }, "openai/gpt-5.2", "none"],
    [{ thinking: { type: "disabled" } }, "gpt-5-mini", "minimal"],
    [{ thinking: { type: "disabled" } }, "gpt-5-chat-latest", undefined],
    [{ thinking: { type: "disabled" } }, "kimi-k3", undefined],
    [{}, "gpt-5", undefined],
  ])("%j for %s is the effort %s", (members, model, effort) => {
    expect(bodyOf(members, { model })["reasoning_effort"]).toBe(effort);
  });

  test("sampling and stops", () => {
    const members = { temperature: 0.5, top_p: 0.9, stop_sequences: ["a", "b"] };
    expect(bodyOf(members)).toMatchObject({ temperature: 0.5, top_p: 0.9, stop: ["a", "b"] });
  });

  test.each([
    [{ top_k: 3 }, /^top_k: /, "gpt-4.1"],
    [{ stop_sequences: ["1", "2", "3", "4", "5"] }, /^stop_sequences: /, "gpt-4.1"],
    [{ stop_sequences: ["1"] }, /^stop_sequences: /, "o3"],
    [{ messages: [user(text("a")), assistant(text("b"))] }, /^messages\.1\.content\.0: /, "gpt-4.1"],
  ])("%j is refused by its name", (members, message, model) => {
    expect(() => encode(members, { model })).toThrow(message);
  });

  test("where it stands in for Claude, what it lacks is adapted and noted", () => {
    const members = {
      top_k: 3,
      temperature: 0,
      metadata: {},
      thinking: { type: "enabled", budget_tokens: 2000 },
      messages: [user(text("a")), assistant(text("b"))],
    };
    const given = { askedModel: "claude-opus-4-6" };
    expect(encode(members, given).notes).toEqual([
      "dropped: metadata",
      "adapted: prefill as an earlier turn",
      "adapted: top_k left out",
      "adapted: sampling parameters left out",
      "adapted: thinking.budget_tokens as effort",
    ]);
    expect(bodyOf(members, given)).not.toHaveProperty("temperature");
    expect(bodyOf(members, { ...given, model: "gpt-4.1" })).toMatchObject({ temperature: 0 });
    expect(bodyOf(members, { ...given, model: "gpt-4.1" })).not.toHaveProperty("reasoning_effort");
  });
});
