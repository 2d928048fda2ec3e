import { describe, expect, test } from "vitest";
import type { GeminiProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { Operation } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { UpstreamRequest } from "../adapter.ts";
import { createGeminiAdapter } from "./adapter.ts";
import { encodeSignature } from "./thought-signature.ts";
import type { GenerateContentRequest, GenerationConfig, Part } from "./wire.ts";

const config: GeminiProviderConfig = {
  type: "gemini",
  api: "ai-studio",
  baseUrl: "https://generativelanguage.googleapis.com",
  apiKey: "secret",
  headers: {},
  connections: 1,
  threads: false,
  models: {},
};
const vertex = {
  api: "vertex",
  baseUrl: "https://aiplatform.googleapis.com",
  project: "acme",
  region: "global",
} as const;

interface Given {
  readonly body?: object;
  readonly config?: Partial<GeminiProviderConfig>;
  readonly model?: string;
  readonly operation?: Operation;
  readonly askedModel?: string;
}

const hi = { role: "user", content: "hi" };

function encode(given: Given = {}): UpstreamRequest {
  const operation = given.operation ?? "messages";
  const asked = given.askedModel ?? "gemini-3-pro";
  const body = Buffer.from(JSON.stringify({ model: asked, max_tokens: 64, messages: [hi], ...given.body }));
  const facts = readBody(body, operation);
  const { apiKey: _, ...keyless } = config;
  const adapter = createGeminiAdapter({ ...(given.config?.api === "vertex" ? keyless : config), ...given.config });
  return adapter.encode(
    {
      id: "call_1",
      operation,
      stream: facts.stream,
      askedModel: facts.model,
      headers: { "anthropic-version": "2023-06-01", "user-agent": "u/1" },
      body,
      splices: facts.splices,
      refusedBetas: undefined,
    },
    { provider: "p", model: given.model ?? "gemini-3-pro" },
    { credential: undefined, now: 0 },
  );
}

function bodyOf(given: Given): GenerateContentRequest {
  return JSON.parse(Buffer.concat([...encode(given).body]).toString()) as GenerateContentRequest;
}
const generation = (given: Given): GenerationConfig => bodyOf(given).generationConfig ?? {};
const partsOf = (given: Given): readonly Part[] => bodyOf(given).contents.flatMap(({ parts }) => parts);
const ask = (...content: object[]): object => ({ messages: [{ role: "user", content }] });

function refusal(given: Given): string {
  try {
    encode(given);
  } catch (reason) {
    if (reason instanceof GatewayError && reason.code === "invalid_request") return reason.message;
    throw reason;
  }
  return "taken";
}

describe("the path", () => {
  test.each([
    [{}, "/v1beta/models/gemini-3-pro:generateContent"],
    [{ body: { stream: true } }, "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"],
    [{ operation: "count_tokens" }, "/v1beta/models/gemini-3-pro:countTokens"],
    [{ model: "tunedModels/a" }, "/v1beta/tunedModels/a:generateContent"],
    [{ model: "a?b/../c" }, "/v1beta/models/a%3Fb/../c:generateContent"],
    [{ config: { baseUrl: "https://x.example/gem/v1" } }, "/gem/v1/models/gemini-3-pro:generateContent"],
    [
      { config: vertex },
      "/v1beta1/projects/acme/locations/global/publishers/google/models/gemini-3-pro:generateContent",
    ],
    [{ config: vertex, model: "endpoints/7" }, "/v1beta1/projects/acme/locations/global/endpoints/7:generateContent"],
  ] satisfies [Given, string][])("of %j is %s", (given, path) => expect(encode(given).path).toBe(path));
});

test("the key of AI Studio goes into its header, a token of Vertex comes with the credential", () => {
  expect(encode().headers).toEqual(expect.arrayContaining(["x-goog-api-key", "secret", "user-agent", "u/1"]));
  expect(encode({ config: vertex }).headers).not.toContain("x-goog-api-key");
});

describe("a conversation", () => {
  test("keeps its order, its calls' ids and the names of their results", () => {
    const messages = [
      { role: "user", content: "weather?" },
      {
        role: "assistant",
        content: [
          { type: "text", text: "looking" },
          { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Oslo" } },
          { type: "tool_use", id: "toolu_2", name: "2nd", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_1", content: "4 °C" },
          { type: "tool_result", tool_use_id: "toolu_2", is_error: true, content: [{ type: "text", text: "broken" }] },
          { type: "text", text: "and?" },
        ],
      },
    ];
    expect(bodyOf({ body: { system: "be brief", messages }, model: "gemini-2.5-flash" })).toMatchObject({
      systemInstruction: { parts: [{ text: "be brief" }] },
      contents: [
        { role: "user", parts: [{ text: "weather?" }] },
        {
          role: "model",
          parts: [
            { text: "looking" },
            { functionCall: { id: "toolu_1", name: "weather", args: { city: "Oslo" } } },
            { functionCall: { id: "toolu_2", name: "_2nd", args: {} } },
          ],
        },
        {
          role: "user",
          parts: [
            { functionResponse: { id: "toolu_1", name: "weather", response: { output: "4 °C" } } },
            { functionResponse: { id: "toolu_2", name: "_2nd", response: { error: "broken" } } },
          ],
        },
        { role: "user", parts: [{ text: "and?" }] },
      ],
    });
  });

  test("a result whose call is unknown is refused by its place", () =>
    expect(refusal({ body: ask({ type: "tool_result", tool_use_id: "toolu_9" }) })).toMatch(
      /^messages\.0\.content\.0\.tool_use_id: /,
    ));

  const signed = (block: object): Given => ({
    body: {
      messages: [
        hi,
        { role: "assistant", content: [block, { type: "tool_use", id: "a", name: "f", input: {} }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "a", content: "1" }] },
      ],
    },
  });
  const thinking = (signature: string): object => ({ type: "thinking", thinking: "hm", signature });

  test("gives a signature back to the call it was on", () => {
    const signature = encodeSignature({ on: "call", model: "gemini-3-pro-preview", value: "c2ln" });
    expect(partsOf(signed(thinking(signature)))[1]).toMatchObject({ functionCall: {}, thoughtSignature: "c2ln" });
  });
  test("gives one back to the thought or the text it was on", () => {
    const on = (place: "thought" | "text"): string => encodeSignature({ on: place, model: "gemini-3", value: "c2ln" });
    expect(partsOf(signed(thinking(on("thought"))))[1]).toEqual({
      text: "hm",
      thought: true,
      thoughtSignature: "c2ln",
    });
    expect(partsOf(signed(thinking(on("text"))))[1]).toEqual({ text: "", thoughtSignature: "c2ln" });
  });
  test.each([
    ["of Claude", "EqQBfoo"],
    ["of another wire", "sluice:openai:c2ln"],
    ["of an older generation", encodeSignature({ on: "call", model: "gemini-2.5-pro", value: "c2ln" })],
  ])("thinking %s is left out, said so, and the call behind it marked", (_, signature) => {
    expect(partsOf(signed(thinking(signature)))[1]?.thoughtSignature).toBe("skip_thought_signature_validator");
    expect(encode(signed(thinking(signature))).notes).toContain("dropped: thinking of another model");
  });
  test("older models need no mark", () =>
    expect(partsOf({ ...signed(thinking("x")), model: "gemini-2.5-pro" })[1]).not.toHaveProperty("thoughtSignature"));

  test("a beginning of the answer is refused, and left out where Gemini stands in for Claude", () => {
    const body = { messages: [hi, { role: "assistant", content: "{" }] };
    expect(refusal({ body })).toMatch(/^messages\.1\.content/);
    expect(partsOf({ body, askedModel: "claude-opus-4-6" })).toEqual([{ text: "hi" }]);
  });
});

describe("media", () => {
  const image = (source: object): object => ask({ type: "image", source });
  test("base64 goes inline", () =>
    expect(partsOf({ body: image({ type: "base64", media_type: "image/png", data: "AAAA" }) })).toEqual([
      { inlineData: { mimeType: "image/png", data: "AAAA" } },
    ]));
  test.each([
    ["a public address", {}, "https://a.example/b/C.JPG?x=1", { mimeType: "image/jpeg" }],
    ["a bucket", { config: vertex }, "gs://bucket/a.webp", { mimeType: "image/webp" }],
    ["an uploaded file", {}, "https://generativelanguage.googleapis.com/v1beta/files/abc", {}],
  ] satisfies [string, Given, string, object][])("%s is fetched by Google", (...[, given, fileUri, more]) =>
    expect(partsOf({ ...given, body: image({ type: "url", url: fileUri }) })).toEqual([
      { fileData: { fileUri, ...more } },
    ]),
  );
  test.each([
    ["plain http", {}, "http://a.example/b.png"],
    ["a bucket at AI Studio", {}, "gs://bucket/a.png"],
    ["a type nobody can tell", {}, "https://a.example/picture"],
    ["a model that fetches nothing", { model: "gemini-2.0-flash" }, "https://a.example/b.png"],
    ["no address", {}, "::"],
  ] satisfies [string, Given, string][])("%s is refused by its place", (_, given, url) =>
    expect(refusal({ ...given, body: image({ type: "url", url }) })).toMatch(/^messages\.0\.content\.0\.source\.url: /),
  );
  test("an image type that Gemini has not is refused by its place", () =>
    expect(refusal({ body: image({ type: "base64", media_type: "image/gif", data: "AA" }) })).toMatch(
      /^messages\.0\.content\.0\.source\.media_type: /,
    ));
  test("documents come with their title", () => {
    const source = { type: "base64", media_type: "application/pdf", data: "AAAA" };
    const text = { type: "text", media_type: "text/plain", data: "words" };
    const body = ask({ type: "document", title: "T", source }, { type: "document", source: text });
    expect(partsOf({ body })).toEqual([
      { text: "T" },
      { inlineData: { mimeType: "application/pdf", data: "AAAA" } },
      { text: "words" },
    ]);
  });
  test("a result's image is part of it, or behind it for a model that cannot", () => {
    const messages = [
      hi,
      { role: "assistant", content: [{ type: "tool_use", id: "a", name: "shoot", input: {} }] },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "a",
            content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } }],
          },
        ],
      },
    ];
    const picture = { inlineData: { mimeType: "image/png", data: "AAAA" } };
    expect(partsOf({ body: { messages } }).at(-1)).toMatchObject({ functionResponse: { parts: [picture] } });
    expect(partsOf({ body: { messages }, model: "gemini-2.5-pro" }).at(-1)).toEqual(picture);
  });
});

describe("tools", () => {
  const input_schema = { type: "object", properties: { n: { type: ["integer", "null"] } } };
  const tools = [{ name: "f", description: "d", input_schema }];
  test("are declared with their JSON Schema, or in the old subset", () => {
    expect(bodyOf({ body: { tools } }).tools).toEqual([
      { functionDeclarations: [{ name: "f", description: "d", parametersJsonSchema: input_schema }] },
    ]);
    expect(bodyOf({ body: { tools }, model: "gemini-2.0-flash" }).tools?.[0].functionDeclarations[0]).toEqual({
      name: "f",
      description: "d",
      parameters: { type: "OBJECT", properties: { n: { type: "INTEGER", nullable: true } } },
    });
  });
  test.each([
    [{ type: "auto" }, { mode: "AUTO" }],
    [{ type: "any" }, { mode: "ANY" }],
    [{ type: "none" }, { mode: "NONE" }],
    [
      { type: "tool", name: "f" },
      { mode: "ANY", allowedFunctionNames: ["f"] },
    ],
  ])("the choice %j is %j", (tool_choice, expected) =>
    expect(bodyOf({ body: { tools, tool_choice } }).toolConfig).toEqual({ functionCallingConfig: expected }),
  );
  test("strict ones are held to their schema", () =>
    expect(bodyOf({ body: { tools: [{ ...tools[0], strict: true }] } }).toolConfig).toEqual({
      functionCallingConfig: { mode: "VALIDATED" },
    }));
});

describe("generation", () => {
  test.each([
    [
      "gemini-2.5-flash",
      { thinking: { type: "enabled", budget_tokens: 2000 } },
      { includeThoughts: true, thinkingBudget: 2000 },
    ],
    ["gemini-2.5-flash", { thinking: { type: "adaptive" } }, { includeThoughts: true, thinkingBudget: -1 }],
    ["gemini-2.5-flash", { thinking: { type: "disabled" } }, { thinkingBudget: 0 }],
    ["gemini-2.5-pro", { thinking: { type: "disabled" } }, { thinkingBudget: 128 }],
    ["gemini-2.5-pro", { output_config: { effort: "low" } }, { thinkingBudget: 1024 }],
    ["gemini-3-pro", { thinking: { type: "adaptive", display: "omitted" } }, { includeThoughts: false }],
    ["gemini-3-pro", { output_config: { effort: "medium" } }, { thinkingLevel: "HIGH" }],
    ["gemini-3-flash", { output_config: { effort: "max" } }, { thinkingLevel: "HIGH" }],
    ["gemini-3-flash", { thinking: { type: "disabled" } }, { thinkingLevel: "MINIMAL" }],
    [
      "gemini-3.1-pro",
      { thinking: { type: "enabled", budget_tokens: 2000 } },
      { includeThoughts: true, thinkingLevel: "LOW" },
    ],
    ["gemini-3-pro", {}, undefined],
  ])("%s thinks of %j as %j", (model, body, expected) =>
    expect(generation({ body, model }).thinkingConfig).toEqual(expected),
  );
  test("sampling, stops and the schema of an answer have their names", () => {
    const schema = { type: "object", properties: {} };
    const output_config = { format: { type: "json_schema", schema } };
    const body = { temperature: 0.5, top_p: 0.9, top_k: 3, stop_sequences: ["END"], output_config };
    expect(generation({ body })).toEqual({
      temperature: 0.5,
      topP: 0.9,
      topK: 3,
      maxOutputTokens: 64,
      stopSequences: ["END"],
      responseMimeType: "application/json",
      responseJsonSchema: schema,
    });
    expect(generation({ body, model: "gemini-2.0-flash" })).toHaveProperty("responseSchema");
  });
  test("more stops than Gemini takes are refused", () =>
    expect(refusal({ body: { stop_sequences: ["1", "2", "3", "4", "5", "6"] } })).toMatch(/^stop_sequences: /));
  test("standing in for Claude it asks for no more tokens than it has", () =>
    expect(generation({ body: { max_tokens: 128_000 }, askedModel: "claude-opus-5" }).maxOutputTokens).toBe(65_536));
});

test("a count needs no most tokens, and goes out in the words of each API", () => {
  const given = { operation: "count_tokens", body: { max_tokens: undefined, system: "s" } } as const;
  const prompt = {
    contents: [{ role: "user", parts: [{ text: "hi" }] }],
    systemInstruction: { parts: [{ text: "s" }] },
  };
  expect(bodyOf(given)).toEqual({ generateContentRequest: { model: "models/gemini-3-pro", ...prompt } });
  expect(bodyOf({ ...given, config: vertex })).toEqual(prompt);
});
