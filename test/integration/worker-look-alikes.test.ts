import { describe, expect, inject, test } from "vitest";
import type { AnthropicProviderConfig } from "#shared/config/schema.ts";
import { useUpstream } from "../support/use-upstream.ts";
import {
  errorOf,
  makeCall,
  makeContext,
  modelName,
  reasonsOf,
  startStream,
  startWorkerHarness,
  type WorkerHarness,
} from "../support/worker-harness.ts";
import { messageBody } from "../support/wire-samples.ts";
import type { Exchange, Handler } from "../support/upstream.ts";

// Servers that are not Anthropic's but speak its API, each with its own ways.

const upstream = await useUpstream();

interface LookAlike {
  readonly name: string;
  /** Behind the host. */
  readonly base: string;
  readonly auth: AnthropicProviderConfig["auth"];
  readonly model: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
}

const lookAlikes: readonly LookAlike[] = [
  { name: "DeepSeek", base: "/anthropic", auth: "x-api-key", model: "deepseek-v4-pro" },
  { name: "Moonshot", base: "/anthropic", auth: "bearer", model: "kimi-k3" },
  { name: "Z.ai", base: "/api/anthropic", auth: "bearer", model: "glm-5" },
  { name: "MiniMax", base: "/anthropic/", auth: "bearer", model: "MiniMax-M3" },
  { name: "OpenRouter", base: "/api", auth: "bearer", model: "anthropic/claude-opus-4.8" },
  { name: "OpenRouter with a version", base: "/api/v1", auth: "bearer", model: "anthropic/claude-opus-4.8" },
  { name: "Ollama", base: "", auth: "x-api-key", model: "qwen3:32b" },
  { name: "vLLM", base: "/v1", auth: "bearer", model: "Qwen/Qwen3-32B" },
  { name: "LM Studio", base: "", auth: "x-api-key", model: "openai/gpt-oss-20b" },
  {
    name: "Claude Platform on AWS",
    base: "",
    auth: "x-api-key",
    model: modelName,
    headers: { "anthropic-workspace-id": "wrkspc_1" },
  },
  {
    name: "Claude on Google Cloud",
    base: "/v1/projects/acme/locations/global/workspaces/wrkspc_1/invoke",
    auth: "bearer",
    model: modelName,
  },
];

function open(
  given: Pick<LookAlike, "base" | "auth" | "model"> & Partial<LookAlike> = plain,
  more = {},
): Promise<WorkerHarness> {
  const { base, auth, model, headers = {} } = given;
  const other = { baseUrl: upstream.url + base, auth, headers, apiKey: "their-key", models: { [modelName]: model } };
  return startWorkerHarness({ providers: { other, ...more }, redisUrl: inject("redisUrl") });
}

const plain: LookAlike = { name: "plain", base: "", auth: "x-api-key", model: "house" };

describe.each(lookAlikes)("$name", (given) => {
  const prefix = given.base.replace(/\/+$/, "").replace(/\/v1$/, "");

  test("is asked at its path, with its header, by its name of the model; other bytes as they came", async () => {
    await using harness = await open(given);
    const tail = `,  "max_tokens":9,"messages":[{"role":"user","content":"b\\u00e4r"}],"unheard_of":{"b":1,"a":2}}`;
    const bytes = Buffer.from(`{"model":"${modelName}"${tail}`);
    const outcome = await harness.handler.invoke(makeCall({ bytes }), makeContext());
    expect(outcome.status).toBe(200);
    const [request] = upstream.requests;
    expect(request?.path).toBe(`${prefix}/v1/messages`);
    expect(request?.body.toString()).toBe(`{"model":"${given.model}"${tail}`);
    expect(request?.headers).toMatchObject({ "anthropic-version": "2023-06-01", ...given.headers });
    const { "x-api-key": key, authorization } = request?.headers ?? {};
    expect([key, authorization]).toEqual(
      given.auth === "bearer" ? [undefined, "Bearer their-key"] : ["their-key", undefined],
    );
  });

  test("is asked to count below the same path", async () => {
    await using harness = await open(given);
    const body = { model: modelName, messages: [{ role: "user", content: "hello" }] };
    const outcome = await harness.handler.invoke(makeCall({ body, operation: "count_tokens" }), makeContext());
    expect(outcome.status).toBe(200);
    expect(upstream.requests[0]?.path).toBe(`${prefix}/v1/messages/count_tokens`);
  });
});

const noCounter: readonly (readonly [string, Handler])[] = [
  ["a page that is not found", ({ response }) => response.writeHead(404).end("404 page not found")],
  ["another API's 404", (exchange) => exchange.json(404, { error: { message: "Not Found", code: 404 } })],
  ["a framework's 404", (exchange) => exchange.json(404, { detail: "Not Found" })],
  ["a method that is not allowed", (exchange) => exchange.json(405, { detail: "Method Not Allowed" })],
  ["something not implemented", ({ response }) => response.writeHead(501).end()],
  [
    "an error in a success",
    (exchange) => exchange.json(200, { error: "Unexpected endpoint or method. (POST /v1/messages/count_tokens)" }),
  ],
];

test.each(noCounter)("a counter that is %s is an estimate, and is not asked for again", async (_, answer) => {
  upstream.onRequest(answer);
  await using harness = await open();
  const body = { model: modelName, messages: [{ role: "user", content: "hello" }] };
  const count = (): ReturnType<typeof harness.handler.invoke> =>
    harness.handler.invoke(makeCall({ body, operation: "count_tokens" }), makeContext());
  expect(await count()).toMatchObject({ status: 200, headers: { "x-sluice-estimated": "true" } });
  const asked = upstream.requests.length;
  expect((await count()).notes).toContain("count_estimated");
  expect(upstream.requests).toHaveLength(asked);
});

const sparse = [
  ": OPENROUTER PROCESSING\r\n\r\n",
  'event: message_start\r\ndata: {"type":"message_start","message":{"id":"x","type":"message","role":"assistant","model":"house","content":[],"usage":{"input_tokens":0,"output_tokens":0}}}\r\n\r\n',
  'event: content_block_start\r\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""},"extra":1}\r\n\r\n',
  'event: content_block_delta\r\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ho"}}\r\n\r\n',
  'event: content_block_stop\r\ndata: {"type":"content_block_stop","index":0}\r\n\r\n',
  'event: message_delta\r\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\r\n\r\n',
  'event: message_stop\r\ndata: {"type":"message_stop"}\r\n\r\n',
].join("");

describe("an answer that is sparser than Anthropic's", () => {
  test("streams as it came: no charset, no id, no usage at the end, no cache counters", async () => {
    upstream.onRequest(
      ({ response }) => void response.writeHead(200, { "content-type": "text/event-stream" }).end(sparse),
    );
    await using harness = await open();
    const { sink, done } = startStream(harness, makeCall({ stream: true }));
    await done;
    expect(sink.text).toBe(sparse);
    expect(sink.trailer).toMatchObject({ end: "complete" });
  });

  test("is a whole one without id and cache counters", async () => {
    const { usage: _, ...message } = messageBody("ho", "house");
    upstream.onRequest(
      ({ response }) =>
        void response
          .writeHead(200, { "content-type": "application/json" })
          .end(JSON.stringify({ ...message, usage: { input_tokens: 3, output_tokens: 1 }, house: true })),
    );
    await using harness = await open();
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(JSON.parse(outcome.body.toString())).toMatchObject({ house: true });
    expect(outcome.usage).toMatchObject({ input_tokens: 3, output_tokens: 1 });
  });
});

const errors: readonly (readonly [string, number, object, string])[] = [
  ["an unknown type counts by its status", 503, { type: "error", error: { type: "busy", message: "" } }, "overloaded"],
  ["vLLM's internal error", 500, { type: "error", error: { type: "internal_error", message: "" } }, "server_error"],
  ["no balance at DeepSeek", 402, { error: { message: "Insufficient Balance" } }, "account_exhausted"],
  [
    "a suspended account at Moonshot",
    429,
    { type: "error", error: { type: "exceeded_current_quota_error", message: "Your account is suspended" } },
    "account_exhausted",
  ],
  [
    "no balance at Z.ai",
    429,
    {
      type: "error",
      error: { type: "1113", message: "Insufficient balance or no resource package. Please recharge." },
    },
    "account_exhausted",
  ],
  [
    "no balance at MiniMax",
    500,
    { type: "error", error: { type: "insufficient_balance_error", message: "insufficient balance (1008)" } },
    "account_exhausted",
  ],
  [
    "an error in a success",
    200,
    { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
    "overloaded",
  ],
  [
    "another API's error in a success",
    200,
    { error: { message: "Provider returned error", code: 502 } },
    "server_error",
  ],
];

test.each(errors)("%s, as status %i, goes to the next target", async (...[, status, body, reason]) => {
  upstream.onRequest((exchange: Exchange) =>
    exchange.request.headers["x-api-key"] === "their-key" ? exchange.json(status, body) : exchange.message("ho"),
  );
  await using harness = await open(plain, { second: upstream.url });
  const outcome = await harness.handler.invoke(makeCall(), makeContext());
  expect(outcome).toMatchObject({ status: 200, provider: "second" });
  expect(reasonsOf(outcome)[0]).toBe(reason);
});

test("a counter that our account may not use is an estimate", async () => {
  upstream.onRequest((exchange) => exchange.json(403, { message: "not authorized to perform: CountTokens" }));
  await using harness = await open();
  const body = { model: modelName, messages: [{ role: "user", content: "hello" }] };
  const outcome = await harness.handler.invoke(makeCall({ body, operation: "count_tokens" }), makeContext());
  expect(outcome.headers["x-sluice-estimated"]).toBe("true");
});

test("a caller's words about balances do not make an account a spent one", async () => {
  upstream.onRequest((exchange) =>
    exchange.error(400, { message: "messages.0: 'my insufficient balance' is no content" }),
  );
  await using harness = await open();
  const outcome = await harness.handler.invoke(makeCall(), makeContext());
  expect(outcome.status).toBe(400);
  expect(errorOf(outcome).type).toBe("invalid_request_error");
});

test("a failure within a stream that is no event of the API is a stream that was cut", async () => {
  const half = sparse.slice(0, sparse.indexOf("event: content_block_stop"));
  upstream.onRequest(
    ({ response }) =>
      void response
        .writeHead(200, { "content-type": "text/event-stream" })
        .end(`${half}data: {"error":"model runner has stopped"}\n\n`),
  );
  await using harness = await open();
  const { sink, done } = startStream(harness, makeCall({ stream: true }));
  await done;
  expect(sink.trailer?.end).not.toBe("complete");
  expect(sink.trailer?.attempts[0]?.reason).toBe("stream_cut");
});
