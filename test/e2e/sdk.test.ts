import type Anthropic from "@anthropic-ai/sdk";
import {
  APIConnectionTimeoutError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  OverloadedError,
  PermissionDeniedError,
  RateLimitError,
} from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { generateText, jsonSchema, streamText, tool } from "ai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { loadConfig } from "#shared/config/load-config.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { startSimulator, type Simulator } from "../../services/simulator/simulator.ts";
import { aiSdk, get, sdk, sdkV0 } from "../support/clients.ts";
import { ownTargets } from "../support/own-targets.ts";
import { startStack, type Stack } from "../support/stack.ts";

// The official clients against the gateway, with the simulator behind it: nothing here knows what lies between.

const model = "claude-opus-4-8";
const say = (content: string): Anthropic.MessageParam[] => [{ role: "user", content }];

let simulator: Simulator;
let stack: Stack;

beforeAll(async () => {
  const models = createCatalogue(loadConfig({}))
    .list()
    .map(({ info }) => info);
  const pace = { ttftMs: 5, tokensPerSecond: 2000, tokensPerDelta: 2 };
  simulator = await startSimulator({ host: "127.0.0.1", port: 0, pace, keys: [], requestsPerMinute: 0 }, models);
  const own = ownTargets(["s400", "s403", "s404", "s413", "s429", "s529", "retry", "hang"], simulator);
  const routes = { routes: ["one", "two"] };
  stack = await startStack({
    upstreams: [simulator, simulator],
    config: { providers: own.providers, models: { ...own.models, [model]: routes, "claude-haiku-4-5": routes } },
  });
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => void process.stderr.write(`${stack.log().slice(-4000)}\n`));
});
afterEach(() => expect.poll(() => simulator.inFlight).toBe(0));
afterAll(async () => {
  await stack?.stop();
  await simulator?.close();
});

describe("@anthropic-ai/sdk 1.x", () => {
  test("creates, with the provider's request id", async () => {
    const message = await sdk(stack).messages.create({ model, max_tokens: 100, messages: say("green 17") });
    expect(message.content).toMatchObject([{ type: "text", text: "You said: green 17" }]);
    expect(message._request_id).toMatch(/^req_01/);
  });

  test("iterates a raw stream and uses the stream helper", async () => {
    const params = { model, max_tokens: 100, messages: say("as a stream") };
    const types: string[] = [];
    for await (const event of await sdk(stack).messages.create({ ...params, stream: true })) types.push(event.type);
    expect(types[0]).toBe("message_start");
    expect(types.at(-1)).toBe("message_stop");
    const stream = sdk(stack).messages.stream(params);
    let text = "";
    stream.on("text", (delta) => (text += delta));
    expect(await stream.finalText()).toBe("You said: as a stream");
    expect(text).toBe("You said: as a stream");
  });

  test("thinks, and sends the thinking back unchanged with a tool's result", async () => {
    const tools: Anthropic.Tool[] = [
      { name: "look", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
    ];
    const thinking = { type: "adaptive", display: "summarized" } as const;
    const client = sdk(stack);
    const first = await client.messages
      .stream({ model, max_tokens: 500, thinking, tools, messages: say("go") })
      .finalMessage();
    const call = first.content.find((block) => block.type === "tool_use");
    expect(first.content[0]).toMatchObject({ type: "thinking" });
    expect(call).toMatchObject({ name: "look", input: { city: "Oslo" } });
    const second = await client.messages.create({
      model,
      max_tokens: 500,
      thinking,
      tools,
      messages: [
        ...say("go"),
        { role: "assistant", content: first.content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: call?.id ?? "", content: "rain" }] },
      ],
    });
    expect(second.content.at(-1)).toMatchObject({ text: "The tool returned: rain" });
  });

  test.each([false, true])("runs the tool runner on a message thread, stream: %s", async (stream) => {
    const bodies: number[] = [];
    const weather = betaTool({
      name: "get_weather",
      description: "The weather",
      inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } as const,
      run: ({ city }) => `sunny in ${city}`,
    });
    const runner = sdk(stack).beta.messages.toolRunner({
      model,
      max_tokens: 500,
      messages: [{ role: "user", content: `weather ${String(stream)}?` }],
      tools: [weather],
      ...(stream ? { stream } : {}),
    });
    for await (const turn of runner) bodies.push("finalMessage" in turn ? 1 : 0);
    const final = await runner;
    const message = "content" in final ? final : await (final as { finalMessage(): Promise<unknown> }).finalMessage();
    expect((message as Anthropic.Message).content.at(-1)).toMatchObject({ text: "The tool returned: sunny in Oslo" });
    expect(bodies).toHaveLength(2);
  });

  test("reads structured output and counts tokens", async () => {
    const client = sdk(stack);
    const schema = {
      type: "object",
      properties: { title: { type: "string" }, done: { type: "boolean" } },
      required: ["title", "done"],
      additionalProperties: false,
    };
    const message = await client.messages.create({
      model,
      max_tokens: 500,
      messages: say("shape it"),
      output_config: { format: { type: "json_schema", schema } },
    });
    expect(JSON.parse((message.content[0] as Anthropic.TextBlock).text)).toEqual({ title: "shape it", done: true });
    expect(await client.messages.countTokens({ model, messages: say("x".repeat(400)) })).toMatchObject({
      input_tokens: 100,
    });
  });

  test("lists and retrieves models", async () => {
    const client = sdk(stack);
    const ids: string[] = [];
    for await (const one of client.models.list({ limit: 3 })) ids.push(one.id);
    expect(ids.filter((id) => !/-s\d|retry|hang/.test(id)).toSorted()).toEqual(["claude-haiku-4-5", model]);
    expect((await client.models.retrieve(model)).display_name).toContain("Opus");
  });

  test.each([
    ["400", BadRequestError],
    ["404", NotFoundError],
    ["429 retry-after=90", RateLimitError],
    ["529", OverloadedError],
  ])("raises its own class for a provider's %s", async (marker, type) => {
    const params = { model: `claude-s${marker.slice(0, 3)}`, max_tokens: 9, messages: say(`fail [sim: ${marker}]`) };
    await expect(sdk(stack).messages.create(params)).rejects.toThrow(type);
    await expect(sdk(stack).messages.stream(params).finalMessage()).rejects.toThrow(type);
  });

  test("raises its own class for what the gateway refuses itself", async () => {
    const params = { model, max_tokens: 9, messages: say("x") };
    await expect(sdk({ ...stack, key: "wrong" }).messages.create(params)).rejects.toThrow(AuthenticationError);
    const haiku = { ...params, model: "claude-haiku-4-5" };
    await expect(sdk({ ...stack, key: stack.opusKey }).messages.create(haiku)).rejects.toThrow(PermissionDeniedError);
    const error = await sdk(stack)
      .messages.create({ ...params, model: "claude-nobody" })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ type: "not_found_error", requestID: expect.any(String) as string });
  });

  test("is told when to come back, and comes back", async () => {
    const started = performance.now();
    const params = {
      model: "claude-retry",
      max_tokens: 50,
      messages: say("patience [sim: 429 retry-after=1 times=2]"),
    };
    const message = await sdk(stack, { maxRetries: 2 }).messages.create(params, {
      headers: { "x-sluice-max-wait": "0" },
    });
    expect(message.content).toMatchObject([{ text: "You said: patience" }]);
    expect(performance.now() - started).toBeGreaterThan(900);
  });

  test("aborts and times out, and the provider is let go", async () => {
    const client = sdk(stack);
    const controller = new AbortController();
    const stalled = { model, max_tokens: 500, messages: say("[sim: tokens=50 stall-after=3]") };
    const stream = client.messages.stream(stalled, { signal: controller.signal });
    stream.on("text", () => controller.abort());
    await expect(stream.finalMessage()).rejects.toThrow(APIUserAbortError);
    await expect.poll(() => simulator.inFlight).toBe(0);
    const hanging = { model: "claude-hang", max_tokens: 500, messages: say("[sim: hang]") };
    await expect(client.messages.create(hanging, { timeout: 300 })).rejects.toThrow(APIConnectionTimeoutError);
    // A whole answer goes on for five seconds, for a retry to join it.
    await expect.poll(() => simulator.inFlight).toBe(0);
  });

  test("sees an error inside a stream as the provider sent it", async () => {
    const failing = { model, max_tokens: 500, messages: say("[sim: tokens=50 error-after=5 overloaded_error]") };
    await expect(sdk(stack).messages.stream(failing).finalMessage()).rejects.toMatchObject({
      type: "overloaded_error",
    });
    const cut = { ...failing, messages: say("[sim: tokens=50 cut-after=5]") };
    await expect(sdk(stack).messages.stream(cut).finalMessage()).rejects.toMatchObject({ type: "api_error" });
  });
});

describe("other clients", () => {
  test("the SDK 0.x creates, streams and counts", async () => {
    const client = sdkV0(stack);
    const message = await client.messages.create({ model, max_tokens: 100, messages: say("old"), temperature: 0.5 });
    expect(message.content).toMatchObject([{ text: "You said: old" }]);
    expect(await client.messages.stream({ model, max_tokens: 100, messages: say("old stream") }).finalText()).toBe(
      "You said: old stream",
    );
    expect((await client.beta.messages.countTokens({ model, messages: say("12345678") })).input_tokens).toBe(2);
    await expect(client.models.retrieve("claude-nobody")).rejects.toMatchObject({ status: 404 });
  });

  test("the AI SDK generates, streams and runs tools", async () => {
    const provider = aiSdk(stack);
    const { text } = await generateText({ model: provider(model), prompt: "hi ai", maxRetries: 0 });
    expect(text).toBe("You said: hi ai");
    expect(await streamText({ model: provider(model), prompt: "stream ai", maxRetries: 0 }).text).toBe(
      "You said: stream ai",
    );
    const { text: found } = await generateText({
      model: provider(model),
      prompt: "use it",
      maxRetries: 0,
      tools: {
        lookup: tool({
          inputSchema: jsonSchema<{ city: string }>({
            type: "object",
            properties: { city: { type: "string" } },
            required: ["city"],
          }),
          execute: ({ city }) => Promise.resolve(`${city} found`),
        }),
      },
      stopWhen: ({ steps }) => steps.length === 2,
    });
    expect(found).toContain("Oslo found");
  });

  test("the AI SDK reads the gateway's errors as the API's", async () => {
    const failing = generateText({ model: aiSdk(stack)("claude-nobody"), prompt: "x", maxRetries: 0 });
    await expect(failing).rejects.toMatchObject({ statusCode: 404, data: { error: { type: "not_found_error" } } });
  });
});

test("a simulated provider's request log shows who was asked", async () => {
  const { json } = await get({ url: simulator.url, key: "sim-1" }, "/__sim/requests");
  expect(json).toMatchObject({ by_prompt: { "green 17": 1 } });
});
