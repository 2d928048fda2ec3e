import type Anthropic from "@anthropic-ai/sdk";
import * as errorsV1 from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import * as errorsV0 from "anthropic-sdk-0";
import { betaTool as betaToolV0 } from "anthropic-sdk-0/helpers/beta/json-schema";
import { generateText, jsonSchema, streamText, tool } from "ai";
import { afterEach, describe, expect, test } from "vitest";

import { aiSdk, get, sdk, sdkV0, type Endpoint } from "../support/clients.ts";
import { ownTargets } from "../support/own-targets.ts";
import { useSimulator } from "../support/use-simulator.ts";
import { useStack } from "../support/use-stack.ts";

// The official clients against the gateway, with the simulator behind it: nothing here knows what lies between.

const model = "claude-opus-4-8";
const say = (content: string): Anthropic.MessageParam[] => [{ role: "user", content }];

const simulator = await useSimulator();
const statuses = [400, 401, 403, 404, 409, 413, 422, 429, 500, 529].flatMap((status) => [
  `s${status}-v1`,
  `s${status}-v0`,
]);
const own = ownTargets([...statuses, "retry", "hang"], simulator);
const routes = { routes: ["one", "two"] };
const stack = await useStack({
  upstreams: [simulator, simulator],
  config: {
    providers: own.providers,
    models: { ...own.models, [model]: routes, "claude-haiku-4-5": routes },
    queue: { linger: "1s" },
  },
});
afterEach(() => expect.poll(() => simulator.inFlight).toBe(0));

const weatherTool = {
  name: "get_weather",
  description: "The weather",
  inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  run: ({ city }: { readonly city: string }) => `sunny in ${city}`,
} as const;
const weather = betaTool(weatherTool);
const weatherV0: unknown = betaToolV0(weatherTool);

type ErrorClass = new (...args: never[]) => Error;

interface Major {
  connect(endpoint: Endpoint, options?: { readonly maxRetries?: number }): Anthropic;
  readonly errors: typeof errorsV1;
  readonly weather: typeof weather;
  /** Its tool runner asks for message threads by itself. */
  readonly usesThreads: boolean;
  /** What it has no class of its own for is one of a wider. */
  readonly classOf: Readonly<Record<402 | 413 | 529, ErrorClass>>;
}

// What is used here has the same shape in both; the types of 0.x are a little older.
const majors: readonly (readonly [string, Major])[] = [
  [
    "1.x",
    {
      connect: sdk,
      errors: errorsV1,
      weather,
      usesThreads: true,
      classOf: {
        402: errorsV1.PaymentRequiredError,
        413: errorsV1.ContentTooLargeError,
        529: errorsV1.OverloadedError,
      },
    },
  ],
  [
    "0.x",
    {
      connect: (endpoint, options) => sdkV0(endpoint, options) as unknown as Anthropic,
      errors: errorsV0 as unknown as typeof errorsV1,
      weather: weatherV0 as typeof weather,
      usesThreads: false,
      classOf: {
        402: errorsV0.APIError,
        413: errorsV0.APIError,
        529: errorsV0.InternalServerError,
      },
    },
  ],
];

interface SeenCall {
  readonly prompt?: string;
  readonly thread?: string;
}

/** The calls that the simulator has seen, oldest first. */
async function seenCalls(): Promise<readonly SeenCall[]> {
  const { json } = await get({ url: simulator.url, key: "sim-1" }, "/__sim/requests");
  return (json as { readonly recent: readonly SeenCall[] }).recent;
}

describe.each(majors)(
  "@anthropic-ai/sdk %s",
  (major, { connect, errors, weather: ownWeather, usesThreads, classOf }) => {
    test("creates, with the provider's request id", async () => {
      const message = await connect(stack).messages.create({ model, max_tokens: 100, messages: say("green 17") });
      expect(message.content).toMatchObject([{ type: "text", text: "You said: green 17" }]);
      expect(message._request_id).toMatch(/^req_01/);
    });

    test("iterates a raw stream and uses the stream helper", async () => {
      const params = { model, max_tokens: 100, messages: say("as a stream") };
      const types: string[] = [];
      for await (const event of await connect(stack).messages.create({ ...params, stream: true }))
        types.push(event.type);
      expect(types[0]).toBe("message_start");
      expect(types.at(-1)).toBe("message_stop");
      const stream = connect(stack).messages.stream(params);
      let text = "";
      stream.on("text", (delta) => (text += delta));
      expect(await stream.finalText()).toBe("You said: as a stream");
      expect(text).toBe("You said: as a stream");
    });

    test("thinks, and sends the thinking back unchanged with a tool's result", async () => {
      const tools: Anthropic.Tool[] = [
        {
          name: "look",
          input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        },
      ];
      const thinking = { type: "adaptive", display: "summarized" } as const;
      const client = connect(stack);
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

    test.each([false, true])(
      "runs the tool runner, on a message thread where it knows them, stream: %s",
      async (stream) => {
        let turns = 0;
        const before = (await seenCalls()).length;
        const runner = connect(stack).beta.messages.toolRunner({
          model,
          max_tokens: 500,
          messages: [{ role: "user", content: `weather ${String(stream)}?` }],
          tools: [ownWeather],
          ...(stream ? { stream } : {}),
        });
        for await (const _turn of runner) turns += 1;
        const final = await runner;
        const message =
          "content" in final ? final : await (final as { finalMessage(): Promise<unknown> }).finalMessage();
        expect((message as Anthropic.Message).content.at(-1)).toMatchObject({
          text: "The tool returned: sunny in Oslo",
        });
        expect(turns).toBe(2);
        const threads = (await seenCalls()).slice(before).map(({ thread }) => thread);
        expect(threads).toEqual(usesThreads ? ["create", "continue"] : [undefined, undefined]);
      },
    );

    test("reads structured output and counts tokens", async () => {
      const client = connect(stack);
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
      const client = connect(stack);
      const ids: string[] = [];
      for await (const one of client.models.list({ limit: 3 })) ids.push(one.id);
      expect(ids.filter((id) => !/-s\d|retry|hang/.test(id)).toSorted()).toEqual(["claude-haiku-4-5", model]);
      expect((await client.models.retrieve(model)).display_name).toContain("Opus");
    });

    const fromProvider: readonly (readonly [string, ErrorClass])[] = [
      ["400", errors.BadRequestError],
      // The gateway's own account was refused: no 401 for the caller.
      ["401", errors.InternalServerError],
      ["403", errors.PermissionDeniedError],
      ["404", errors.NotFoundError],
      ["409", errors.ConflictError],
      ["413", classOf[413]],
      ["422", errors.UnprocessableEntityError],
      ["429 retry-after=90", errors.RateLimitError],
      ["500", errors.InternalServerError],
      ["529", classOf[529]],
    ];
    test.each(fromProvider)("raises its own class for a provider's %s", async (marker, type) => {
      const status = marker.slice(0, 3);
      const name = `claude-s${status}-v${major[0]}`;
      const params = { model: name, max_tokens: 9, messages: say(`fail [sim: ${marker}]`) };
      const { messages } = connect(stack);
      for (const call of [() => messages.create(params), () => messages.stream(params).finalMessage()]) {
        const error: unknown = await call().catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(type);
        expect(error).toMatchObject({ status: status === "401" ? 502 : Number(status) });
      }
    });

    test("raises its own class for what the gateway refuses itself", async () => {
      const params = { model, max_tokens: 9, messages: say("x") };
      const as = (key: string): Anthropic => connect({ ...stack, key });
      await expect(as("wrong").messages.create(params)).rejects.toThrow(errors.AuthenticationError);
      const haiku = { ...params, model: "claude-haiku-4-5" };
      await expect(as(stack.opusKey).messages.create(haiku)).rejects.toThrow(errors.PermissionDeniedError);
      const error = await connect(stack)
        .messages.create({ ...params, model: "claude-nobody" })
        .catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(errors.NotFoundError);
      expect(error).toMatchObject({ type: "not_found_error", requestID: expect.any(String) as string });
      await expect(connect(stack).messages.create({ ...params, max_tokens: -1 })).rejects.toThrow(
        errors.BadRequestError,
      );
      const trouble = (key: string, body: typeof params) => async (): Promise<unknown> =>
        as(key)
          .messages.create(body)
          .catch((reason: unknown) => reason);
      await expect.poll(trouble("sk-sluice-slow", params)).toBeInstanceOf(errors.RateLimitError);
      const dear = { ...params, messages: say("x".repeat(4000)) };
      const spent = trouble("sk-sluice-budgeted", dear);
      await expect.poll(spent).toBeInstanceOf(classOf[402]);
      expect(await spent()).toMatchObject({ status: 402 });
    });

    test("sends a prompt of a megabyte", async () => {
      const params = { model, max_tokens: 20, messages: say("x".repeat(1_000_000)) };
      expect((await connect(stack).messages.create(params)).usage.input_tokens).toBe(250_000);
      expect((await connect(stack).messages.stream(params).finalMessage()).usage.input_tokens).toBe(250_000);
      expect((await connect(stack).messages.countTokens({ model, messages: params.messages })).input_tokens).toBe(
        250_000,
      );
    });

    test("is told when to come back, and comes back", async () => {
      const started = performance.now();
      const params = {
        model: "claude-retry",
        max_tokens: 50,
        messages: say(`patience of ${major} [sim: 429 retry-after=1 times=2]`),
      };
      const message = await connect(stack, { maxRetries: 2 }).messages.create(params, {
        headers: { "x-sluice-max-wait": "0" },
      });
      expect(message.content).toMatchObject([{ text: `You said: patience of ${major}` }]);
      expect(performance.now() - started).toBeGreaterThan(900);
    });

    test("aborts and times out, and the provider is let go", async () => {
      const client = connect(stack);
      const controller = new AbortController();
      const stalled = { model, max_tokens: 500, messages: say("[sim: tokens=50 stall-after=3]") };
      const stream = client.messages.stream(stalled, { signal: controller.signal });
      stream.on("text", () => controller.abort());
      await expect(stream.finalMessage()).rejects.toThrow(errors.APIUserAbortError);
      await expect.poll(() => simulator.inFlight).toBe(0);
      const hanging = { model: "claude-hang", max_tokens: 500, messages: say("[sim: hang]") };
      await expect(client.messages.create(hanging, { timeout: 300 })).rejects.toThrow(errors.APIConnectionTimeoutError);
      // A whole answer goes on for a while, for a retry to join it.
      await expect.poll(() => simulator.inFlight).toBe(0);
    });

    test("sees an error inside a stream as the provider sent it", async () => {
      const failing = { model, max_tokens: 500, messages: say("[sim: tokens=50 error-after=5 overloaded_error]") };
      await expect(connect(stack).messages.stream(failing).finalMessage()).rejects.toMatchObject({
        type: "overloaded_error",
      });
      const cut = { ...failing, messages: say("[sim: tokens=50 cut-after=5]") };
      await expect(connect(stack).messages.stream(cut).finalMessage()).rejects.toMatchObject({ type: "api_error" });
    });
  },
);

describe("other clients", () => {
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
  expect(json).toMatchObject({ by_prompt: { "green 17": 2 } });
});
