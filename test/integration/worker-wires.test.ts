import { describe, expect, inject, test } from "vitest";
import type { BedrockProviderConfig, GeminiProviderConfig, OpenaiProviderConfig } from "#shared/config/schema.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
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
import { chunkFrame } from "../support/event-frames.ts";
import type { Exchange } from "../support/upstream.ts";

const upstream = await useUpstream();

const common = { headers: {}, connections: 4, threads: false } as const;
const user = { role: "user", content: "hello" };

function openai(api: OpenaiProviderConfig["api"] = "chat"): OpenaiProviderConfig {
  const models = { [modelName]: "gpt-x" };
  const members = { type: "openai", api, maxTokensField: "max_completion_tokens", apiKey: "k" } as const;
  return { ...common, ...members, models, baseUrl: `${upstream.url}/v1` };
}

function gemini(): GeminiProviderConfig {
  const models = { [modelName]: "gemini-3-pro" };
  return { ...common, type: "gemini", api: "ai-studio", apiKey: "k", models, baseUrl: upstream.url };
}

function bedrock(): BedrockProviderConfig {
  const models = { [modelName]: "global.anthropic.claude-opus-4-8" };
  const where = { type: "bedrock", api: "invoke", region: "us-east-1", apiKey: "k" } as const;
  return { ...common, ...where, models, baseUrl: upstream.url };
}

function open(
  providers: Parameters<typeof startWorkerHarness>[0]["providers"],
  otherModels: readonly string[] = [],
): Promise<WorkerHarness> {
  return startWorkerHarness({ providers, otherModels, redisUrl: inject("redisUrl") });
}

const completion = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "gpt-x",
  choices: [{ index: 0, message: { role: "assistant", content: "ho" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
};

describe("what a wire cannot say", () => {
  const body = {
    model: modelName,
    max_tokens: 9,
    messages: [{ role: "user", content: [{ type: "image", source: { type: "file", file_id: "file_011" } }] }],
  };

  test("is sent to nobody there, and the next target is asked", async () => {
    await using harness = await open({ google: gemini(), second: upstream.url });
    const outcome = await harness.handler.invoke(makeCall({ body }), makeContext());
    expect(outcome).toMatchObject({ status: 200, provider: "second" });
    expect(reasonsOf(outcome)).toEqual(["invalid_request", "ok"]);
    expect(outcome.attempts[0]?.detail).toMatch(/^cannot be said there: messages\.0/);
    expect(upstream.requests.map(({ path }) => path)).toEqual(["/v1/messages"]);
  });

  test("is the caller's 400 when no target can, in the first one's words", async () => {
    await using harness = await open({ google: gemini() });
    const outcome = await harness.handler.invoke(makeCall({ body }), makeContext());
    expect(outcome.status).toBe(400);
    expect(errorOf(outcome).type).toBe("invalid_request_error");
    expect(errorOf(outcome).message).toMatch(/^messages\.0/);
    expect(upstream.requests).toEqual([]);
  });

  const search = { type: "web_search_20250305", name: "web_search" };
  const asksForSearch = { model: modelName, max_tokens: 9, messages: [user], tools: [search] };
  const picture = { type: "image", source: { type: "url", url: "https://example.com/a.png" } };

  test.each([
    ["a tool that runs at the provider", asksForSearch, "tools.0"],
    [
      "a picture that it has to fetch",
      { model: modelName, max_tokens: 9, messages: [{ role: "user", content: [picture] }] },
      "messages.0.content.0.source",
    ],
  ])("%s is not asked of a cloud that has none", async (_, asked, path) => {
    await using harness = await open({ aws: bedrock(), second: upstream.url });
    const outcome = await harness.handler.invoke(makeCall({ body: asked }), makeContext());
    expect(outcome).toMatchObject({ status: 200, provider: "second" });
    expect(outcome.attempts[0]).toMatchObject({ provider: "aws", detail: `cannot be said there: ${path}` });
    expect(JSON.parse(upstream.requests[0]?.body.toString() ?? "")).toEqual(asked);
    await using alone = await open({ aws: bedrock() });
    const refused = await alone.handler.invoke(makeCall({ body: asked }), makeContext());
    expect(refused.status).toBe(400);
    expect(errorOf(refused)).toMatchObject({ type: "invalid_request_error" });
    expect(errorOf(refused).message).toContain(`${path}: `);
    expect(upstream.requests).toHaveLength(1);
  });

  test("a caller who may wait gets the limit of the target that can, not a refusal of the one that cannot", async () => {
    upstream.onRequest((exchange) => exchange.error(429, { headers: { "retry-after": "30" } }));
    await using harness = await open({ second: upstream.url, aws: bedrock() });
    const outcome = await harness.handler.invoke(makeCall({ body: asksForSearch }), makeContext());
    expect(reasonsOf(outcome)).toEqual(["rate_limited", "invalid_request"]);
    expect(outcome.status).toBe(429);
  });
});

describe("another wire's answer", () => {
  test("is a Message under the call's own id", async () => {
    upstream.onRequest((exchange) => exchange.json(200, completion, { "content-type": "application/json; charset=x" }));
    await using harness = await open({ other: openai() });
    const call = makeCall();
    const outcome = await harness.handler.invoke(call, makeContext());
    expect(outcome.headers["content-type"]).toMatch(/^application\/json/);
    expect(JSON.parse(outcome.body.toString())).toMatchObject({
      id: `msg_${call.head.id.slice("call_".length)}`,
      model: modelName,
      content: [{ type: "text", text: "ho" }],
      usage: { input_tokens: 9, output_tokens: 2 },
    });
    expect(outcome.usage).toMatchObject({ input_tokens: 9, output_tokens: 2 });
  });

  test("that is an error has its words in the Messages API's envelope", async () => {
    const error = { message: "Invalid value: 7", type: "invalid_request_error", param: "x", code: null };
    upstream.onRequest((exchange) => exchange.json(400, { error }));
    await using harness = await open({ other: openai() });
    const call = makeCall();
    const outcome = await harness.handler.invoke(call, makeContext());
    expect(outcome.status).toBe(400);
    expect(JSON.parse(outcome.body.toString())).toMatchObject({
      type: "error",
      error: { type: "invalid_request_error" },
      request_id: call.head.id,
    });
  });

  test("streams as events of the Messages API, whatever its content type", async () => {
    const chunk = (choice: object, more: object = {}): string =>
      `data: ${JSON.stringify({ ...completion, object: "chat.completion.chunk", usage: null, choices: [choice], ...more })}\n\n`;
    upstream.onRequest((exchange) => {
      const response = exchange.openStream();
      response.write(chunk({ index: 0, delta: { role: "assistant", content: "h" }, finish_reason: null }));
      response.write(chunk({ index: 0, delta: { content: "o" }, finish_reason: "stop" }));
      response.write(`data: ${JSON.stringify({ ...completion, choices: [] })}\n\n`);
      response.end("data: [DONE]\n\n");
    });
    await using harness = await open({ other: openai() });
    const { sink, done } = startStream(harness, makeCall({ stream: true }));
    await done;
    expect(sink.answerHead?.headers["content-type"]).toMatch(/^text\/event-stream/);
    expect(sink.text).toContain("event: message_stop");
    expect(sink.trailer).toMatchObject({ end: "complete", usage: { input_tokens: 9, output_tokens: 2 } });
  });

  test("without a counter is estimated at once", async () => {
    await using harness = await open({ other: openai() });
    const body = { model: modelName, messages: [user] };
    const outcome = await harness.handler.invoke(makeCall({ body, operation: "count_tokens" }), makeContext());
    expect(outcome.notes).toContain("count_estimated");
    expect(upstream.requests).toEqual([]);
  });

  test("is counted where the API has a counter, and estimated from then on where the server lacks it", async () => {
    upstream.next(
      (exchange) => exchange.json(200, { object: "response.input_tokens", input_tokens: 7 }),
      (exchange) => exchange.json(404, { detail: "Not Found" }),
    );
    await using harness = await open({ other: openai("responses") });
    const body = { model: modelName, messages: [user] };
    const count = (): Promise<Outcome> =>
      harness.handler.invoke(makeCall({ body, operation: "count_tokens" }), makeContext());
    expect(JSON.parse((await count()).body.toString())).toEqual({ input_tokens: 7 });
    expect((await count()).notes).toContain("count_estimated");
    expect((await count()).notes).toContain("count_estimated");
    expect(upstream.requests.map(({ path }) => path)).toEqual(Array(2).fill("/v1/responses/input_tokens"));
  });

  test("is estimated for a model that Bedrock cannot count, and counted for others", async () => {
    const words = { message: "The provided model doesn't support counting tokens." };
    upstream.onRequest((exchange) =>
      exchange.request.path.includes("opus")
        ? exchange.json(400, words, { "x-amzn-errortype": "ValidationException" })
        : exchange.json(200, { inputTokens: 7 }),
    );
    await using harness = await open({ aws: bedrock() }, ["claude-haiku-4-5"]);
    const count = (model: string): Promise<Outcome> =>
      harness.handler.invoke(
        makeCall({ body: { model, messages: [user] }, operation: "count_tokens", head: { model } }),
        makeContext(),
      );
    expect((await count(modelName)).headers["x-sluice-estimated"]).toBe("true");
    expect(JSON.parse((await count("claude-haiku-4-5")).body.toString())).toEqual({ input_tokens: 7 });
  });

  test("says in its body until when it takes nothing more", async () => {
    const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "17s" }];
    upstream.onRequest((exchange) =>
      exchange.json(429, { error: { code: 429, status: "RESOURCE_EXHAUSTED", details } }),
    );
    await using harness = await open({ google: gemini() });
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(outcome.status).toBe(429);
    const leftMs = (outcome.blockedUntil ?? 0) - Date.now();
    expect(leftMs).toBeGreaterThan(5_000);
    expect(leftMs).toBeLessThanOrEqual(17_000);
  });
});

describe("beta flags", () => {
  const headers = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "context-1m-2025-08-07,made-up-2026-01-01",
  } as const;
  const message = (exchange: Exchange): void => exchange.message("ho");

  test("go where the wire wants them; what is left out is told in header and trace", async () => {
    upstream.onRequest(message);
    await using harness = await open({ aws: bedrock() });
    const outcome = await harness.handler.invoke(makeCall({ head: { headers } }), makeContext());
    expect(outcome.status).toBe(200);
    expect(outcome.headers["x-sluice-dropped-betas"]).toBe("made-up-2026-01-01");
    expect(outcome.notes).toContain("dropped: anthropic-beta made-up-2026-01-01");
    const [request] = upstream.requests;
    expect(request?.headers["anthropic-beta"]).toBeUndefined();
    expect(JSON.parse(request?.body.toString() ?? "")).toMatchObject({ anthropic_beta: ["context-1m-2025-08-07"] });
  });

  test("that a target calls invalid are left out of the next request, and of those after it", async () => {
    upstream.next((exchange) =>
      exchange.json(400, { message: "invalid beta flag" }, { "x-amzn-errortype": "ValidationException" }),
    );
    upstream.onRequest(message);
    await using harness = await open({ aws: bedrock() });
    const first = await harness.handler.invoke(makeCall({ head: { headers } }), makeContext());
    expect(reasonsOf(first)).toEqual(["beta_refused", "ok"]);
    expect(first.headers["x-sluice-dropped-betas"]).toBe("context-1m-2025-08-07,made-up-2026-01-01");
    const second = await harness.handler.invoke(makeCall({ head: { headers } }), makeContext());
    expect(reasonsOf(second)).toEqual(["ok"]);
    expect(upstream.requests.at(-1)?.body.toString()).not.toContain("context-1m");
  });

  test("go to Anthropic as they came", async () => {
    await using harness = await open({ anthropic: upstream.url });
    const outcome = await harness.handler.invoke(makeCall({ head: { headers } }), makeContext());
    expect(upstream.requests[0]?.headers["anthropic-beta"]).toBe(headers["anthropic-beta"]);
    expect(outcome.headers["x-sluice-dropped-betas"]).toBeUndefined();
  });

  test("follow the provider's own rules", async () => {
    const betas = [{ flags: { "made-up-*": "drop" } }];
    await using harness = await open({ anthropic: { baseUrl: upstream.url, betas } });
    await harness.handler.invoke(makeCall({ head: { headers } }), makeContext());
    expect(upstream.requests[0]?.headers["anthropic-beta"]).toBe("context-1m-2025-08-07");
  });
});

describe("a conversation that another family has taken part in", () => {
  const thinking = (signature: string): object => ({ type: "thinking", thinking: "hm", signature });
  const bodyWith = (signature: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        model: modelName,
        max_tokens: 9,
        messages: [user, { role: "assistant", content: [thinking(signature), { type: "text", text: "ho" }] }, user],
      }).replace('"max_tokens":9', '"max_tokens" : 9'),
    );

  const signatures = ["sluice:openai", "sluice:openai-responses:0a1b2c3d:rs_1:gAAA="];
  test.each(signatures)("goes to Claude without the other's reasoning %s, and says so", async (signature) => {
    await using harness = await open({ anthropic: upstream.url });
    const outcome = await harness.handler.invoke(makeCall({ bytes: bodyWith(signature) }), makeContext());
    expect(outcome.notes).toContain("dropped: thinking of another model");
    expect(upstream.requests[0]?.body.toString()).not.toContain("thinking");
  });

  test("keeps every byte where there is none of it", async () => {
    await using harness = await open({ anthropic: upstream.url });
    const bytes = bodyWith("EqQBCg==");
    await harness.handler.invoke(makeCall({ bytes }), makeContext());
    expect(upstream.requests[0]?.body).toEqual(bytes);
  });
});

test("a model that stands in goes on without the tool that the asked one's cloud has not, but not without a picture", async () => {
  const asked = "claude-haiku-4-5";
  await using harness = await open({ aws: bedrock() }, [asked]);
  const tools = [{ type: "web_search_20250305", name: "web_search" }];
  const picture = { type: "image", source: { type: "url", url: "https://example.com/a.png" } };
  const invoke = (body: object): ReturnType<typeof harness.handler.invoke> => {
    const head = { model: asked, wishes: { models: [modelName] } };
    return harness.handler.invoke(makeCall({ body: { model: asked, max_tokens: 9, ...body }, head }), makeContext());
  };
  const outcome = await invoke({ messages: [user], tools });
  expect(outcome).toMatchObject({ status: 200, model: modelName });
  expect(outcome.notes).toContain("dropped: tool web_search_20250305");
  expect(JSON.parse(upstream.requests[0]?.body.toString() ?? "")).not.toHaveProperty("tools");
  expect((await invoke({ messages: [{ role: "user", content: [picture] }] })).status).toBe(400);
});

test("a model that stands in is spared what it would refuse; the same model elsewhere gets the caller's bytes", async () => {
  const asked = "claude-haiku-4-5";
  const bytes = Buffer.from(
    JSON.stringify({ model: asked, max_tokens: 9, temperature: 0.5, messages: [user] }).replace(",", " ,"),
  );
  upstream.next(
    (exchange) => exchange.json(404, { type: "error", error: { type: "not_found_error", message: "model" } }),
    (exchange) => exchange.json(404, { type: "error", error: { type: "not_found_error", message: "model" } }),
  );
  await using harness = await open({ first: upstream.url, second: upstream.url }, [asked]);
  const wishes = { models: ["claude-opus-4-8"] };
  const outcome = await harness.handler.invoke(makeCall({ bytes, head: { model: asked, wishes } }), makeContext());
  expect(outcome).toMatchObject({ status: 200, model: "claude-opus-4-8" });
  const [first, second, third] = upstream.requests;
  expect([first?.body, second?.body]).toEqual([bytes, bytes]);
  expect(JSON.parse(third?.body.toString() ?? "")).toEqual({
    model: "claude-opus-4-8",
    max_tokens: 9,
    messages: [user],
  });
  expect(outcome.notes).toContain("dropped: temperature");
});

test("a stream that breaks once it has begun ends with an error event, and the trace names the fault", async () => {
  const start = { type: "message_start", message: { id: "msg_1", usage: { input_tokens: 1, output_tokens: 1 } } };
  const block = { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } };
  const broken = chunkFrame({ type: "ping" });
  broken.writeUInt8((broken.at(-1) ?? 0) ^ 1, broken.length - 1);
  upstream.onRequest(
    ({ response }) =>
      void response
        .writeHead(200, { "content-type": "application/vnd.amazon.eventstream" })
        .end(Buffer.concat([chunkFrame(start), chunkFrame(block), broken])),
  );
  await using harness = await open({ aws: bedrock(), second: upstream.url });
  const { sink, done } = startStream(harness, makeCall({ stream: true }));
  await done;
  expect(sink.text).toMatch(/event: error\ndata: .*wrong checksum of a frame.*\n\n$/);
  expect(sink.trailer).toMatchObject({ end: "error_event", provider: "aws" });
  expect(sink.trailer?.attempts).toMatchObject([
    { reason: "stream_error", detail: "api_error: wrong checksum of a frame" },
  ]);
});
