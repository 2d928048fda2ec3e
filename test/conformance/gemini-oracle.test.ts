import {
  ApiError,
  GoogleGenAI,
  type GenerateContentParameters,
  type GenerateContentResponse,
  type Part,
} from "@google/genai";
import { OAuth2Client } from "google-auth-library";
import { describe, expect, test } from "vitest";
import type { GeminiProviderConfig } from "#shared/config/schema.ts";
import type { Operation } from "#shared/messages/call.ts";
import { createGeminiWire } from "../../services/simulator/wires/gemini.ts";
import type { DecodeContext, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createGeminiAdapter } from "../../services/worker/adapters/gemini/adapter.ts";
import { claudeCall } from "../support/claude-call.ts";
import { usualDifferences, useWireOracle } from "../support/use-wire-oracle.ts";

type Api = GeminiProviderConfig["api"];
const apis: readonly Api[] = ["ai-studio", "vertex"];

/** Everything in which the vendor's SDK and we differ; what is not named here is equal. */
const differences = {
  headers: {
    ...usualDifferences,
    "x-goog-api-client": "names the SDK, which we are not",
    accept: "fetch adds it; the wire has one form only",
    "x-goog-user-project": "a quota project of the developer's own credentials",
  },
  countAtAiStudio: "the SDK counts bare contents; the API takes the whole request, so that system and tools count",
} as const;

const oracle = await useWireOracle((deps) => [createGeminiWire(deps)]);
const { url, send } = oracle;
const expectEqualRequests = (): void => oracle.expectEqualRequests(differences.headers);

function client(api: Api): GoogleGenAI {
  if (api === "ai-studio") return new GoogleGenAI({ apiKey: "key", httpOptions: { baseUrl: url } });
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: "token", expiry_date: Date.now() + 3_600_000 });
  return new GoogleGenAI({
    vertexai: true,
    project: "acme",
    location: "europe-west1",
    googleAuthOptions: { authClient },
    httpOptions: { baseUrl: url },
  });
}

function adapterOf(api: Api): ReturnType<typeof createGeminiAdapter> {
  const common = { type: "gemini", baseUrl: url, headers: {}, connections: 1, threads: false, models: {} } as const;
  return createGeminiAdapter(
    api === "vertex" ? { ...common, api, project: "acme", region: "europe-west1" } : { ...common, api, apiKey: "key" },
  );
}

function encode(api: Api, message: object, operation: Operation = "messages"): UpstreamRequest {
  return adapterOf(api).encode(
    claudeCall({ model: "gemini-3-flash", max_tokens: 100, ...message }, { operation }),
    { provider: "gemini", model: "gemini-3-flash" },
    {
      credential: api === "vertex" ? { kind: "headers", headers: ["authorization", "Bearer token"] } : undefined,
      now: 0,
    },
  );
}

/** The answer's text without its thoughts. */
function textOf({ candidates }: GenerateContentResponse): string {
  const parts = candidates?.[0]?.content?.parts ?? [];
  return parts.map(({ thought, text }) => (thought === true ? "" : (text ?? ""))).join("");
}

function callsOf({ functionCalls }: GenerateContentResponse): (string | undefined)[] {
  return (functionCalls ?? []).map(({ name }) => name);
}

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const png = "iVBORw0KGgo=";
const hi = { role: "user", content: "hi" };
const askedHi = [{ role: "user", parts: [{ text: "hi" }] }];
const most = { maxOutputTokens: 100 };

type Config = NonNullable<GenerateContentParameters["config"]>;
interface Case {
  readonly name: string;
  readonly message: object;
  readonly contents: { role: string; parts: Part[] }[];
  readonly config: Config;
}

const cases: readonly Case[] = [
  {
    name: "system and sampling",
    message: { system: "s", temperature: 0.5, top_p: 0.9, top_k: 3, stop_sequences: ["END"], messages: [hi] },
    contents: askedHi,
    config: {
      systemInstruction: { parts: [{ text: "s" }] },
      temperature: 0.5,
      topP: 0.9,
      topK: 3,
      stopSequences: ["END"],
    },
  },
  {
    name: "images and documents",
    message: {
      messages: [
        {
          role: "user",
          content: [
            { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
            { type: "image", source: { type: "url", url: "https://a.example/b.webp" } },
            { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERg==" } },
          ],
        },
      ],
    },
    contents: [
      {
        role: "user",
        parts: [
          { inlineData: { mimeType: "image/png", data: png } },
          { fileData: { fileUri: "https://a.example/b.webp", mimeType: "image/webp" } },
          { inlineData: { mimeType: "application/pdf", data: "JVBERg==" } },
        ],
      },
    ],
    config: {},
  },
  {
    name: "tools, parallel calls and their results",
    message: {
      tools: [{ name: "weather", description: "d", input_schema: schema }],
      tool_choice: { type: "tool", name: "weather" },
      messages: [
        hi,
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "", signature: "sluice:gemini:call:gemini-3-flash:c2ln" },
            { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Oslo" } },
            { type: "tool_use", id: "toolu_2", name: "weather", input: { city: "Rome" } },
          ],
        },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "toolu_1",
              content: [
                { type: "text", text: "4" },
                { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
              ],
            },
            { type: "tool_result", tool_use_id: "toolu_2", content: "no station", is_error: true },
          ],
        },
      ],
    },
    contents: [
      ...askedHi,
      {
        role: "model",
        parts: [
          { functionCall: { id: "toolu_1", name: "weather", args: { city: "Oslo" } }, thoughtSignature: "c2ln" },
          { functionCall: { id: "toolu_2", name: "weather", args: { city: "Rome" } } },
        ],
      },
      {
        role: "user",
        parts: [
          {
            functionResponse: {
              id: "toolu_1",
              name: "weather",
              response: { output: "4" },
              parts: [{ inlineData: { mimeType: "image/png", data: png } }],
            },
          },
          { functionResponse: { id: "toolu_2", name: "weather", response: { error: "no station" } } },
        ],
      },
    ],
    config: {
      tools: [{ functionDeclarations: [{ name: "weather", description: "d", parametersJsonSchema: schema }] }],
      toolConfig: { functionCallingConfig: { mode: "ANY" as never, allowedFunctionNames: ["weather"] } },
    },
  },
  {
    name: "thinking and a structured answer",
    message: {
      messages: [hi],
      thinking: { type: "adaptive" },
      output_config: { effort: "low", format: { type: "json_schema", schema } },
    },
    contents: askedHi,
    config: {
      thinkingConfig: { includeThoughts: true, thinkingLevel: "LOW" as never },
      responseMimeType: "application/json",
      responseJsonSchema: schema,
    },
  },
];

describe.each(apis)("at %s", (api) => {
  const context = (operation: Operation): DecodeContext => {
    return { callId: "call_1", operation, askedModel: "gemini-3-flash", body: Buffer.from("{}") };
  };

  test.each(cases)("$name: the SDK and we send the same, and read the same answer", async (given) => {
    const { contents, config, message } = given;
    const model = "gemini-3-flash";
    const theirs = await client(api).models.generateContent({ model, contents, config: { ...config, ...most } });
    const { head, body } = await send(encode(api, message));
    expectEqualRequests();
    const answer = adapterOf(api).decode(context("messages"), head, body);
    const read = JSON.parse(String(answer?.body)) as { content: { type: string; text?: string; name?: string }[] };
    expect(read.content.map(({ text = "" }) => text).join("")).toBe(textOf(theirs));
    expect(read.content.flatMap(({ name }) => name ?? [])).toEqual(callsOf(theirs));
    const { candidatesTokenCount = 0, thoughtsTokenCount = 0 } = theirs.usageMetadata ?? {};
    expect(answer?.usage?.output_tokens).toBe(candidatesTokenCount + thoughtsTokenCount);
  });

  test.each(cases)("$name: streamed", async ({ contents, config, message }) => {
    const model = "gemini-3-flash";
    const stream = await client(api).models.generateContentStream({ model, contents, config: { ...config, ...most } });
    const chunks: GenerateContentResponse[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const finish = chunks
      .flatMap(({ candidates }) => candidates ?? [])
      .findLast((one) => one.finishReason)?.finishReason;
    expect(finish).toBe("STOP");
    const { body } = await send(encode(api, { ...message, stream: true }));
    expectEqualRequests();
    const decoder = adapterOf(api).createStreamDecoder(context("messages"));
    const events = Buffer.concat([decoder.push(body), decoder.end()].filter((piece) => piece !== undefined)).toString();
    const data = [...events.matchAll(/^data: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json) as StreamedEvent);
    expect(data.map(({ delta }) => delta?.text ?? "").join("")).toBe(chunks.map(textOf).join(""));
    expect(data.filter(({ content_block: block }) => block?.type === "tool_use")).toHaveLength(
      chunks.flatMap(callsOf).length,
    );
    expect(data.at(-1)?.type).toBe("message_stop");
  });

  test("a count", async () => {
    const counted = await client(api).models.countTokens({ model: "gemini-3-flash", contents: askedHi });
    const { head, body } = await send(encode(api, { messages: [hi] }, "count_tokens"));
    const answer = adapterOf(api).decode(context("count_tokens"), head, body);
    expect(JSON.parse(String(answer?.body))).toEqual({ input_tokens: counted.totalTokens });
    if (api === "vertex") return expectEqualRequests();
    const [theirs, ours] = oracle.captured;
    expect(ours?.path).toBe(theirs?.path);
    expect(JSON.parse(String(ours?.body)), differences.countAtAiStudio).toEqual({
      generateContentRequest: { model: "models/gemini-3-flash", ...(JSON.parse(String(theirs?.body)) as object) },
    });
  });

  test.each([400, 403, 404, 429, 500, 503])("a %i of the simulator is an error to the SDK as to us", async (code) => {
    const says = `hi [sim:${code} retry-after=2]`;
    const contents = [{ role: "user", parts: [{ text: says }] }];
    const asked = client(api).models.generateContent({ model: "gemini-3-flash", contents });
    const thrown: unknown = await asked.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(thrown instanceof ApiError && thrown.status).toBe(code);
    const { head, body } = await send(encode(api, { messages: [{ role: "user", content: says }] }));
    const failure = adapterOf(api).classify(head, body);
    expect(failure.status).toBe(code);
    expect(failure.retryAt !== undefined).toBe(code === 429);
  });

  test("an error in the middle of a stream is one to the SDK as to us", async () => {
    const says = "hi [sim:error-after=2 overloaded_error tokens=9]";
    const contents = [{ role: "user", parts: [{ text: says }] }];
    const stream = await client(api).models.generateContentStream({ model: "gemini-3-flash", contents });
    await expect(async () => {
      for await (const chunk of stream) expect(chunk.modelVersion).toBe("gemini-3-flash");
    }).rejects.toThrow("overloaded");
    const { body } = await send(encode(api, { messages: [{ role: "user", content: says }], stream: true }));
    const decoder = adapterOf(api).createStreamDecoder(context("messages"));
    const events = Buffer.concat([decoder.push(body), decoder.end()].filter((piece) => piece !== undefined)).toString();
    expect(events).toContain("event: error");
    expect(events).toContain("overloaded_error");
  });
});

interface StreamedEvent {
  readonly type: string;
  readonly content_block?: { readonly type: string };
  readonly delta?: { readonly text?: string };
}

test("the simulator refuses what Google refuses", async () => {
  const ask = (body: object): ReturnType<typeof send> =>
    send({
      path: "/v1beta/models/gemini-3-flash:generateContent",
      headers: ["x-goog-api-key", "key", "content-type", "application/json"],
      body: [Buffer.from(JSON.stringify(body))],
    });
  const call = { functionCall: { name: "f", args: {} } };
  const response = { functionResponse: { name: "f", response: {} } };
  const refused: object[] = [
    {},
    { contents: askedHi, max_tokens: 1 },
    { contents: [{ role: "system", parts: [{ text: "a" }] }] },
    { contents: [{ role: "user", parts: [{ text: "a", functionCall: {} }] }] },
    { contents: [...askedHi, { role: "model", parts: [call] }, { role: "user", parts: [response] }] },
    { contents: [...askedHi, { role: "model", parts: [call, call] }, { role: "user", parts: [response] }] },
  ];
  for (const body of refused) expect(await ask(body), JSON.stringify(body)).toMatchObject({ head: { status: 400 } });
});
