import Anthropic, { APIError, AuthenticationError, NotFoundError, RateLimitError } from "@anthropic-ai/sdk";
import AnthropicOld from "anthropic-sdk-0";
import { describe, expect, test } from "vitest";

import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { bedKeys, beginStream, endStream } from "../support/gateway-bed.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";
import { blockStart, messageStart, textDelta } from "../support/wire-samples.ts";

const bed = await useGatewayBed();

const question = {
  model: "claude-opus-4-8",
  max_tokens: 64,
  messages: [{ role: "user" as const, content: "hi" }],
};

describe.each([
  [
    "1.x, which sends its key as a bearer",
    (path: string) => new Anthropic({ apiKey: bedKeys.key, baseURL: bed.url + path }),
  ],
  [
    "0.x, which sends x-api-key",
    (path: string) => new AnthropicOld({ apiKey: bedKeys.key, baseURL: bed.url + path }) as unknown as Anthropic,
  ],
])("the official SDK %s", (_name, connect) => {
  test.each(["", "/v1", "/anthropic", "/ai-gateway/anthropic"])(
    "gets its answer with the base URL %j",
    async (path) => {
      const message = await connect(path).messages.create(question);
      expect(message.content).toMatchObject([{ type: "text", text: "hello" }]);
      expect(message._request_id).toBe("req_up_1");
    },
  );

  test("counts tokens and lists models", async () => {
    const { messages, model } = question;
    expect(await connect("").messages.countTokens({ messages, model })).toMatchObject({ input_tokens: 7 });
    const ids: string[] = [];
    for await (const { id } of connect("").models.list({ limit: 1 })) ids.push(id);
    expect(ids).toEqual(["claude-opus-4-8", "claude-haiku-4-5", "other-1"]);
    expect((await connect("").models.retrieve("anthropic/claude-opus-4.8")).id).toBe("claude-opus-4-8");
  });

  test("reads a stream to its end", async () => {
    const message = await connect("").messages.stream(question).finalMessage();
    expect(message.content).toMatchObject([{ type: "text", text: "hello from the worker" }]);
  });

  test("raises the provider's loss within a stream as an API error", async () => {
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      sink.write(Buffer.from(messageStart() + blockStart() + textDelta("half")));
      endStream(sink, "cut");
      return Promise.resolve();
    };
    const stream = await connect("").messages.create({ ...question, stream: true });
    const types: string[] = [];
    const reading = (async () => {
      for await (const { type } of stream) types.push(type);
    })();
    await expect(reading).rejects.toMatchObject({ type: "overloaded_error" });
    expect(types).toEqual(["message_start", "content_block_start", "content_block_delta"]);
  });
});

describe("the official SDK sees our errors as its own classes", () => {
  const client = (apiKey = bedKeys.key): Anthropic => new Anthropic({ apiKey, baseURL: bed.url, maxRetries: 0 });

  test("a wrong key", async () => {
    await expect(client("wrong").messages.create(question)).rejects.toThrow(AuthenticationError);
  });

  test("an unknown model", async () => {
    await expect(client().messages.create({ ...question, model: "gpt-9" })).rejects.toThrow(NotFoundError);
  });

  test("a limit, with its request id and details", async () => {
    const details = { error_code: "ramp_limit_exceeded" };
    bed.script.invoke = (call) =>
      Promise.resolve(errorOutcome(new GatewayError("rate_limited", "slower", { details }), call.head.id));
    const error: unknown = await client()
      .messages.create(question)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 429, type: "rate_limit_error" });
    expect((error as APIError).requestID).toMatch(/^call_/);
    expect(JSON.stringify((error as APIError).error)).toContain("ramp_limit_exceeded");
  });
});
