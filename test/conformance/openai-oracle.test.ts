import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI, { APIError, RateLimitError } from "openai";
import type { ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import { createBoundState } from "../../services/simulator/answer/bound-state.ts";
import { createPromptCache } from "../../services/simulator/answer/prompt-cache.ts";
import { createPacer } from "../../services/simulator/pacer.ts";
import { createRateLimits } from "../../services/simulator/rate-limits.ts";
import { readBody as readRequest } from "../../services/simulator/read-body.ts";
import { createRequestLog } from "../../services/simulator/request-log.ts";
import { createScenarios } from "../../services/simulator/scenarios.ts";
import { createOpenaiWire } from "../../services/simulator/wires/openai.ts";
import type { DecodeContext, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createOpenaiAdapter } from "../../services/worker/adapters/openai/adapter.ts";
import { readStream } from "../../services/worker/adapters/translate/stream-grammar.ts";

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** Everything in which the vendor's SDK and we differ; what is not named here is equal. */
const differences = {
  headers: {
    "user-agent": "names the SDK, which we are not",
    "accept-encoding": "identity: what is decoded as it comes must not be compressed",
    accept: "the SDK asks streams for JSON too; servers go by the body",
    "accept-language": "fetch adds it",
    "sec-fetch-mode": "fetch adds it",
    connection: "the connection's affair",
    host: "the connection's affair",
    "content-length": "the connection's affair",
    "transfer-encoding": "the connection's affair",
  },
  /** `x-stainless-*`: telemetry of the SDK. */
  headerPrefix: "x-stainless-",
} as const;

let server: Server;
let baseUrl = "";
let captured: Sent[] = [];
const pacer = createPacer();

beforeAll(async () => {
  const wire = createOpenaiWire({
    pace: { ttftMs: 0, tokensPerSecond: 0, tokensPerDelta: 2 },
    keys: [],
    scenarios: createScenarios(),
    pacer,
    cache: createPromptCache(),
    bound: createBoundState(),
    limits: createRateLimits(0),
    log: createRequestLog(() => 0),
  });
  server = createServer((request, response) => {
    readRequest(request, 1_000_000, (body = Buffer.alloc(0)) => {
      const { method = "", headers } = request;
      const { pathname, search, searchParams: query } = new URL(request.url ?? "/", "http://x");
      captured.push({ method, path: pathname + search, headers, body: JSON.parse(body.toString()) });
      if (wire.handles(pathname)) wire.handle({ method, path: pathname, query, headers, body }, response);
      else response.writeHead(404).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});

afterAll(() => {
  pacer.close();
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  captured = [];
});

const vendor = (): OpenAI => new OpenAI({ apiKey: "sk-1", baseURL: baseUrl, organization: "org-1", maxRetries: 0 });

function adapter(): ReturnType<typeof createOpenaiAdapter> {
  const config: OpenaiProviderConfig = {
    type: "openai",
    api: "chat",
    baseUrl,
    apiKey: "sk-1",
    organization: "org-1",
    headers: {},
    connections: 1,
    threads: false,
    models: {},
    maxTokensField: "max_completion_tokens",
  };
  return createOpenaiAdapter(config);
}

type Body = Readonly<Record<string, unknown>>;
const withDefaults = (members: object): Body => ({
  model: "gpt-5",
  max_tokens: 500,
  messages: [{ role: "user", content: "hi" }],
  ...members,
});

function encode(members: object): UpstreamRequest {
  const fields = withDefaults(members);
  const body = Buffer.from(JSON.stringify(fields));
  const model = String(fields["model"]);
  return adapter().encode(
    {
      id: "call_1",
      operation: "messages",
      stream: fields["stream"] === true,
      askedModel: model,
      headers: { "anthropic-version": "2023-06-01" },
      body,
      splices: readBody(body, "messages").splices,
      refusedBetas: undefined,
    },
    { provider: "p", model },
    { credential: undefined, now: 0 },
  );
}

function post(request: UpstreamRequest): Promise<Response> {
  const headers: [string, string][] = [];
  for (let i = 0; i < request.headers.length; i += 2)
    headers.push([request.headers[i] ?? "", request.headers[i + 1] ?? ""]);
  return fetch(new URL(request.path, baseUrl), { method: "POST", headers, body: Buffer.concat([...request.body]) });
}

/** What matters of a request: everything but the differences. */
function essence({ method, path, headers, body }: Sent): unknown {
  const kept = Object.entries(headers).filter(
    ([name]) => !Object.hasOwn(differences.headers, name) && !name.startsWith(differences.headerPrefix),
  );
  return { method, path, headers: Object.fromEntries(kept), body };
}

const tool = {
  name: "weather",
  description: "Tells the weather.",
  input_schema: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};
const fn = { name: tool.name, description: tool.description, parameters: tool.input_schema };
const call = (id: string): object => ({ type: "tool_use", id, name: "weather", input: { city: id } });
const pdf = { type: "base64", media_type: "application/pdf", data: "JVBERi0=" };

type Params = Omit<ChatCompletionCreateParamsNonStreaming, "model" | "messages"> &
  Partial<Pick<ChatCompletionCreateParamsNonStreaming, "model" | "messages">>;

/** The same call in the API's words and in the vendor's own types. */
const pairs: readonly (readonly [string, object, Params])[] = [
  ["text", {}, {}],
  [
    "system, sampling and stops",
    { system: "be brief", temperature: 0.5, top_p: 0.9, stop_sequences: ["END"], model: "gpt-4.1" },
    {
      model: "gpt-4.1",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "hi" },
      ],
      temperature: 0.5,
      top_p: 0.9,
      stop: ["END"],
    },
  ],
  [
    "pictures and files",
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBO" } },
            { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
            { type: "document", source: pdf },
          ],
        },
      ],
    },
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,iVBO" } },
            { type: "image_url", image_url: { url: "https://example.com/a.png" } },
            { type: "file", file: { filename: "document.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } },
          ],
        },
      ],
    },
  ],
  [
    "tools, their choice and parallel results",
    {
      tools: [{ ...tool, strict: true }],
      tool_choice: { type: "tool", name: "weather", disable_parallel_tool_use: true },
      messages: [
        { role: "user", content: "weather?" },
        { role: "assistant", content: [{ type: "text", text: "well" }, call("a"), call("b")] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "a", content: "sun" },
            { type: "tool_result", tool_use_id: "b", content: [{ type: "text", text: "lost" }], is_error: true },
            { type: "text", text: "so?" },
          ],
        },
      ],
    },
    {
      tools: [{ type: "function", function: { ...fn, strict: true } }],
      tool_choice: { type: "function", function: { name: "weather" } },
      parallel_tool_calls: false,
      messages: [
        { role: "user", content: "weather?" },
        {
          role: "assistant",
          content: "well",
          tool_calls: ["a", "b"].map((id) => ({
            id,
            type: "function",
            function: { name: "weather", arguments: JSON.stringify({ city: id }) },
          })),
        },
        { role: "tool", tool_call_id: "a", content: "sun" },
        { role: "tool", tool_call_id: "b", content: "Error: lost" },
        { role: "user", content: "so?" },
      ],
    },
  ],
  [
    "structured output and effort",
    { output_config: { effort: "low", format: { type: "json_schema", schema: tool.input_schema } } },
    {
      reasoning_effort: "low",
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: tool.input_schema, strict: true },
      },
    },
  ],
];

describe("the request", () => {
  const defaults = { model: "gpt-5", max_completion_tokens: 500 };
  const hello = [{ role: "user" as const, content: "hi" }];

  test.each(pairs)("whole: %s", async (_, members, params) => {
    await vendor().chat.completions.create({ ...defaults, messages: hello, ...params });
    await (await post(encode(members))).text();
    expect(captured).toHaveLength(2);
    const [theirs, ours] = captured.map(essence);
    expect(ours).toEqual(theirs);
  });

  test.each(pairs)("streamed: %s", async (_, members, params) => {
    const streamed = { stream: true as const, stream_options: { include_usage: true } };
    const stream = await vendor().chat.completions.create({ ...defaults, messages: hello, ...params, ...streamed });
    for await (const chunk of stream) expect(chunk.object).toBe("chat.completion.chunk");
    await (await post(encode({ ...members, stream: true }))).text();
    expect(captured).toHaveLength(2);
    const [theirs, ours] = captured.map(essence);
    expect(ours).toEqual(theirs);
  });
});

const prompts = {
  text: {},
  tools: { tools: [tool], tool_choice: { type: "any" } },
  reasoning: { model: "deepseek-v4", output_config: { effort: "high" } },
} as const;

describe("the simulator's answers", () => {
  const ask = { model: "gpt-5", messages: [{ role: "user" as const, content: "say it" }] };

  test("are read by the vendor's stream parser, and are the same whole", async () => {
    const stream = vendor().chat.completions.stream({ ...ask, stream_options: { include_usage: true } });
    const streamed = await stream.finalChatCompletion();
    const whole = await vendor().chat.completions.create(ask);
    expect(streamed.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(streamed.usage?.completion_tokens).toBe(whole.usage?.completion_tokens);
    expect(streamed.choices[0]?.finish_reason).toBe("stop");
  });

  test("call tools that the vendor's parser puts together", async () => {
    const tools = [{ type: "function" as const, function: { ...fn, strict: true } }];
    const stream = vendor().chat.completions.stream({ ...ask, tools, tool_choice: "required" });
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { tool_calls: [{ type: "function" }] } });
  });

  test("fail as the vendor's client knows it", async () => {
    const limited = { ...ask, messages: [{ role: "user" as const, content: "[sim:429 retry-after=3]" }] };
    await expect(vendor().chat.completions.create(limited)).rejects.toThrow(RateLimitError);
    const broken = { ...ask, messages: [{ role: "user" as const, content: "[sim:error-after=2 tokens=20]" }] };
    await expect(vendor().chat.completions.stream(broken).finalChatCompletion()).rejects.toThrow(APIError);
  });

  test.each(Object.entries(prompts))("decode to the same Message whole and streamed: %s", async (_, members) => {
    const context = (fields: object): DecodeContext => ({
      callId: "call_1",
      operation: "messages",
      askedModel: "m",
      body: Buffer.from(JSON.stringify(withDefaults(fields))),
    });
    const response = await post(encode(members));
    const head = { status: response.status, headers: Object.fromEntries(response.headers) };
    const whole = adapter().decode(context(members), head, Buffer.from(await response.arrayBuffer()));
    const message = JSON.parse(whole?.body.toString() ?? "null") as Record<string, unknown>;
    const decoder = adapter().createStreamDecoder(context(members));
    const bytes = Buffer.from(await (await post(encode({ ...members, stream: true }))).arrayBuffer());
    const events = [decoder.push(bytes), decoder.end()].filter((piece) => piece !== undefined);
    const streamed = readStream(Buffer.concat(events)).message;
    const comparable = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value), (key, member: unknown) =>
        ["id", "cache_read_input_tokens", "input_tokens"].includes(key) ? "differs" : member,
      );
    expect(comparable(streamed)).toEqual(comparable(message));
    expect(message["content"]).not.toEqual([]);
  });
});
