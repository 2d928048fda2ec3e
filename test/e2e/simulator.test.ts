import type Anthropic from "@anthropic-ai/sdk";
import {
  AuthenticationError,
  BadRequestError,
  ContentTooLargeError,
  InternalServerError,
  NotFoundError,
  OverloadedError,
  PaymentRequiredError,
  PermissionDeniedError,
  RateLimitError,
} from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { generateText, jsonSchema, streamText, tool } from "ai";
import { describe, expect, test } from "vitest";

import { aiSdk, get, post, prompt, sdk, sdkV0 } from "../support/clients.ts";
import { useSimulator } from "../support/use-simulator.ts";

const model = "claude-opus-4-8";
const say = (content: string): Anthropic.MessageParam[] => [{ role: "user", content }];

const simulator = await useSimulator();
const endpoint = (key = "sim-1"): { url: string; key: string } => ({ url: simulator.url, key });

describe("the official SDK 1.x", () => {
  test("gets a whole answer that repeats the prompt, with usage and request id", async () => {
    const message = await sdk(endpoint()).messages.create({ model, max_tokens: 100, messages: say("green 17") });
    expect(message.content).toEqual([{ type: "text", text: "You said: green 17", citations: null }]);
    expect(message).toMatchObject({ stop_reason: "end_turn", stop_details: null, container: null, diagnostics: null });
    expect(message.usage.output_tokens).toBeGreaterThan(3);
    expect(message._request_id).toMatch(/^req_/);
  });

  test("streams thinking with a signature, then text, and takes the blocks back unchanged", async () => {
    const client = sdk(endpoint());
    const stream = client.messages.stream({
      model,
      max_tokens: 2000,
      messages: say("think of blue"),
      thinking: { type: "adaptive", display: "summarized" },
    });
    const message = await stream.finalMessage();
    const [thinking, text] = message.content;
    expect(thinking).toMatchObject({ type: "thinking", thinking: expect.stringContaining("water") as string });
    expect(text).toMatchObject({ text: "You said: think of blue" });
    expect(message.usage.output_tokens_details?.thinking_tokens).toBeGreaterThan(0);
    const again = await client.messages.create({
      model,
      max_tokens: 100,
      messages: [...say("think of blue"), { role: "assistant", content: message.content }, ...say("and now?")],
    });
    expect(again.content.at(-1)).toMatchObject({ text: "You said: and now?" });
    const altered = [{ ...(thinking as Anthropic.ThinkingBlock), thinking: "other" }];
    await expect(
      client.messages.create({
        model,
        max_tokens: 100,
        messages: [...say("x"), { role: "assistant", content: altered }, ...say("y")],
      }),
    ).rejects.toThrow("Invalid `signature` in `thinking` block");
  });

  test("calls a tool with input that fits its schema and answers in text after the result", async () => {
    const calls: unknown[] = [];
    const weather = betaTool({
      name: "get_weather",
      description: "The weather",
      inputSchema: {
        type: "object",
        properties: { city: { type: "string" }, unit: { enum: ["c", "f"] }, days: { type: "integer", minimum: 3 } },
        required: ["city"],
      } as const,
      run: (input) => {
        calls.push(input);
        return `sunny, run ${calls.length}`;
      },
    });
    const runner = sdk(endpoint()).beta.messages.toolRunner({
      model,
      max_tokens: 500,
      messages: [{ role: "user", content: "weather?" }],
      tools: [weather],
    });
    const final = await runner;
    expect(calls).toEqual([{ city: "Oslo", unit: "c", days: 3 }]);
    expect(final.content.at(-1)).toMatchObject({ text: "The tool returned: sunny, run 1" });
    const { json } = await get(endpoint(), "/__sim/requests");
    expect(JSON.stringify(json)).toContain("weather?");
  });

  test("obeys a forced tool_choice, and none", async () => {
    const tools: Anthropic.Tool[] = ["a", "b"].map((name) => ({
      name,
      input_schema: { type: "object", properties: { n: { type: "number" } } },
    }));
    const client = sdk(endpoint());
    const base = { model, max_tokens: 200, tools, messages: say("go") };
    const forced = await client.messages.create({ ...base, tool_choice: { type: "tool", name: "b" } });
    expect(forced.content).toMatchObject([{ type: "tool_use", name: "b", input: { n: 1 } }]);
    const none = await client.messages.create({ ...base, tool_choice: { type: "none" } });
    expect(none.content).toMatchObject([{ type: "text" }]);
  });

  test("parses structured output", async () => {
    const schema = {
      type: "object",
      properties: {
        title: { type: "string" },
        tags: { type: "array", items: { $ref: "#/$defs/tag" } },
        owner: {
          anyOf: [{ type: "null" }, { type: "object", properties: { email: { type: "string", format: "email" } } }],
        },
      },
      required: ["title", "tags", "owner"],
      additionalProperties: false,
      $defs: { tag: { enum: ["red", "blue"] } },
    };
    const message = await sdk(endpoint()).messages.create({
      model,
      max_tokens: 500,
      messages: say("describe it"),
      output_config: { format: { type: "json_schema", schema } },
    });
    expect(JSON.parse((message.content[0] as Anthropic.TextBlock).text)).toEqual({
      title: "describe it",
      tags: ["red"],
      owner: { email: "ada@example.com" },
    });
  });

  test("counts tokens, lists models with paging, retrieves one", async () => {
    const client = sdk(endpoint());
    const count = await client.messages.countTokens({ model, messages: say("x".repeat(400)) });
    expect(count.input_tokens).toBe(100);
    const ids: string[] = [];
    for await (const one of client.models.list({ limit: 3 })) ids.push(one.id);
    expect(ids).toContain(model);
    expect(new Set(ids).size).toBe(ids.length);
    expect((await client.models.retrieve(model)).id).toBe(model);
    await expect(client.models.retrieve("claude-nobody")).rejects.toThrow(NotFoundError);
  });

  test("charges a marked prefix as a cache write first, as a read later", async () => {
    const client = sdk(endpoint());
    const system = [
      { type: "text" as const, text: "long ".repeat(400), cache_control: { type: "ephemeral" as const } },
    ];
    const ask = async (text: string): Promise<Anthropic.Usage> =>
      (await client.messages.create({ model, max_tokens: 50, system, messages: say(text) })).usage;
    expect(await ask("one")).toMatchObject({ cache_creation_input_tokens: 500, cache_read_input_tokens: 0 });
    expect(await ask("two")).toMatchObject({ cache_creation_input_tokens: 0, cache_read_input_tokens: 500 });
  });

  test("stops at stop_sequences and at max_tokens", async () => {
    const client = sdk(endpoint());
    const stopped = await client.messages.create({
      model,
      max_tokens: 50,
      messages: say("alpha STOP omega"),
      stop_sequences: ["STOP"],
    });
    expect(stopped).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: "STOP" });
    expect(stopped.content).toMatchObject([{ text: "You said: alpha " }]);
    const cut = await client.messages.create({ model, max_tokens: 3, messages: say("one two three four") });
    expect(cut).toMatchObject({ stop_reason: "max_tokens", usage: { output_tokens: 3 } });
  });

  test("each scripted status is the SDK's own error class", async () => {
    const client = sdk(endpoint());
    const classes = {
      400: BadRequestError,
      401: AuthenticationError,
      402: PaymentRequiredError,
      403: PermissionDeniedError,
      404: NotFoundError,
      413: ContentTooLargeError,
      429: RateLimitError,
      500: InternalServerError,
      529: OverloadedError,
    };
    for (const [status, type] of Object.entries(classes))
      await expect(
        client.messages.create({ model, max_tokens: 9, messages: say(`fail [sim: ${status}]`) }),
      ).rejects.toThrow(type);
  });

  test("retries as the markers say: two failures, then an answer", async () => {
    const message = await sdk(endpoint(), { maxRetries: 2 }).messages.create({
      model,
      max_tokens: 50,
      messages: say("patience [sim: 529 times=2 retry-after-ms=5]"),
    });
    expect(message.content).toMatchObject([{ text: "You said: patience" }]);
  });

  test("a thread that another account holds is not found, with the details the SDK reads", async () => {
    const betas = ["message-threads-2026-08-12" as const];
    const first = await sdk(endpoint("sim-1")).beta.messages.create({
      model,
      max_tokens: 50,
      betas,
      thread: { type: "create" },
      messages: [{ role: "user", content: "one" }],
    });
    const go = (key: string): Promise<Anthropic.Beta.BetaMessage> =>
      sdk(endpoint(key)).beta.messages.create({
        model,
        max_tokens: 50,
        betas,
        thread: { type: "continue", previous_message_id: first.id },
        messages: [{ role: "user", content: "two" }],
      });
    await expect(go("sim-2")).rejects.toMatchObject({ status: 404, details: { error_code: "thread_not_found" } });
    expect((await go("sim-1")).usage.input_tokens).toBeGreaterThan(2);
    await expect(go("sim-1")).rejects.toMatchObject({ details: { error_code: "thread_already_continued" } });
  });

  test("version 2026-10-21 has no sampling parameters", async () => {
    const body = { ...prompt("x"), temperature: 1 };
    const newer = await post(endpoint(), body, { headers: { "anthropic-version": "2026-10-21" } });
    expect(newer).toMatchObject({ status: 400 });
    expect(newer.text).toContain("temperature: Extra inputs are not permitted");
    expect((await post(endpoint(), body)).status).toBe(200);
  });
});

describe("faults in a stream", () => {
  const run = async (text: string): Promise<Anthropic.Message> =>
    sdk(endpoint())
      .messages.stream({ model, max_tokens: 500, messages: say(text) })
      .finalMessage();

  test("an error before content and an error after three deltas", async () => {
    await expect(run("[sim: error-before-content overloaded_error]")).rejects.toMatchObject({
      type: "overloaded_error",
    });
    const bare = await post(endpoint(), { ...prompt("[sim: error-before-content]"), stream: true });
    expect([...bare.text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).toEqual(["message_start", "error"]);
    await expect(run("a [sim: tokens=50 error-after=3 api_error]")).rejects.toMatchObject({ type: "api_error" });
  });

  test("a cut connection and an end without message_stop", async () => {
    await expect(run("a [sim: tokens=50 cut-after=3]")).rejects.toThrow(/terminated|closed|Connection/);
    await expect(run("a [sim: tokens=50 end-after=3]")).rejects.toThrow("without producing a Message");
  });

  test("a stall lasts until the caller leaves, who is then forgotten", async () => {
    const stream = sdk(endpoint()).messages.stream({
      model,
      max_tokens: 500,
      messages: say("a [sim: tokens=50 stall-after=3]"),
    });
    const texts: string[] = [];
    for await (const event of stream) {
      if (event.type !== "content_block_delta") continue;
      texts.push(event.type);
      if (texts.length === 3) break;
    }
    await expect.poll(() => simulator.inFlight).toBe(0);
  });

  test("CRLF and single bytes are read all the same", async () => {
    const message = await run("süß 🎈 [sim: crlf bytes=1]");
    expect(message.content).toMatchObject([{ text: "You said: süß 🎈" }]);
  });

  test("a fault is limited to one account by on=", async () => {
    const body = prompt("x [sim: 529 on=2]");
    expect((await post(endpoint("sim-1"), body)).status).toBe(200);
    expect((await post(endpoint("sim-2"), body)).status).toBe(529);
  });
});

describe("other clients", () => {
  test("the SDK 0.x creates, streams and counts", async () => {
    const client = sdkV0(endpoint());
    const message = await client.messages.create({ model, max_tokens: 100, messages: say("old"), temperature: 0.5 });
    expect(message.content).toMatchObject([{ text: "You said: old" }]);
    const text = await client.messages.stream({ model, max_tokens: 100, messages: say("old stream") }).finalText();
    expect(text).toBe("You said: old stream");
    expect((await client.messages.countTokens({ model, messages: say("12345678") })).input_tokens).toBe(2);
  });

  test("the AI SDK generates, streams and runs tools", async () => {
    const provider = aiSdk(endpoint());
    const { text } = await generateText({ model: provider(model), prompt: "hi ai", maxRetries: 0 });
    expect(text).toBe("You said: hi ai");
    const streamed = streamText({ model: provider(model), prompt: "stream ai", maxRetries: 0 });
    expect(await streamed.text).toBe("You said: stream ai");
    const result = await generateText({
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
    expect(result.text).toContain("Oslo found");
  });

  test("a missing key is a 401, a missing version a 400, an unknown path a 404, all in the envelope", async () => {
    const bare = await fetch(`${simulator.url}/v1/messages`, { method: "POST", body: "{}" });
    expect(bare.status).toBe(401);
    expect(await bare.json()).toMatchObject({ type: "error", error: { type: "authentication_error" } });
    expect((await post(endpoint(), prompt("x"), { headers: { "anthropic-version": "" } })).status).toBe(400);
    expect((await get(endpoint(), "/v1/nothing")).json).toMatchObject({ error: { type: "not_found_error" } });
  });
});
