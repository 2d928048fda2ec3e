import { describe, expect, test } from "vitest";
import type { DecodeContext } from "../adapter.ts";
import { readChatUsage } from "./chat-usage.ts";
import { decode } from "./decode.ts";
import { wireToolName } from "./tool-names.ts";

const request = (members: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ model: "m", max_tokens: 9, ...members }));

function decodeChoice(choice: object, rest: object = {}, body = request()): unknown {
  const context: DecodeContext = { callId: "call_abc", operation: "messages", askedModel: "mine", body };
  const bytes = Buffer.from(JSON.stringify({ choices: [choice], ...rest }));
  const answer = decode(context, { status: 200, headers: {} }, bytes);
  return answer && (JSON.parse(answer.body.toString()) as unknown);
}

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

test("a completion is a Message with every member the clients' types name", () => {
  expect(decodeChoice({ message: { content: "hi" }, finish_reason: "stop" }, { usage })).toEqual({
    id: "msg_abc",
    type: "message",
    role: "assistant",
    model: "mine",
    content: [{ type: "text", text: "hi", citations: null }],
    stop_reason: "end_turn",
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: {
      input_tokens: 10,
      output_tokens: 5,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      cache_creation: null,
      output_tokens_details: null,
      server_tool_use: null,
      service_tier: null,
      inference_geo: null,
      speed: null,
    },
  });
});

const fn = (name: string, args: unknown): object => ({ name, arguments: args });

test("calls, reasoning and broken arguments", () => {
  const tool_calls = [
    { id: "call_1", function: fn("f", '{"a":1}') },
    { id: "call_1", function: fn("g", "") },
    { id: "bad id", function: fn("h", '{"a"') },
    { function: fn("i", { b: 2 }) },
  ];
  const answer = decodeChoice({ message: { content: null, reasoning: "hm", tool_calls }, finish_reason: "stop" });
  expect(answer).toMatchObject({
    content: [
      { type: "thinking", thinking: "hm", signature: "sluice:openai:reasoning" },
      { id: "call_1", name: "f", input: { a: 1 } },
      { id: expect.stringMatching(/^toolu_/) as string, name: "g", input: {} },
      { name: "h", input: { INVALID_JSON: '{"a"' } },
      { name: "i", input: { b: 2 } },
    ],
    stop_reason: "tool_use",
  });
});

test("an id that the conversation already has is made anew", () => {
  const tool_calls = [{ id: "call_0", function: fn("f", "{}") }];
  const body = request({ messages: [{ role: "assistant", content: [{ type: "tool_use", id: "call_0" }] }] });
  const choice = { message: { tool_calls }, finish_reason: "tool_calls" };
  expect(decodeChoice(choice, {}, body)).toMatchObject({
    content: [{ id: expect.stringMatching(/^toolu_/) as string }],
  });
});

test("a name that was cut gets its length back", () => {
  const name = "n".repeat(90);
  const tool_calls = [{ id: "c", function: fn(wireToolName(name), "{}") }];
  const choice = { message: { tool_calls }, finish_reason: "tool_calls" };
  expect(decodeChoice(choice, {}, request({ tools: [{ name }] }))).toMatchObject({ content: [{ name }] });
});

describe("the end", () => {
  test.each([
    [{ finish_reason: "length", message: { content: "a" } }, { stop_reason: "max_tokens" }],
    [{ finish_reason: "tool_calls", message: { content: "a" } }, { stop_reason: "end_turn" }],
    [{ finish_reason: "something", message: { content: "a" } }, { stop_reason: "end_turn" }],
    [
      { finish_reason: "stop", stop_reason: "END", message: { content: "a" } },
      { stop_reason: "stop_sequence", stop_sequence: "END" },
    ],
    [
      { finish_reason: "stop", message: { content: null, refusal: "no" } },
      { stop_reason: "refusal", stop_details: { type: "refusal", category: null, explanation: "no" } },
    ],
    [
      { finish_reason: "content_filter", message: { content: "" } },
      { stop_reason: "refusal", content: [] },
    ],
  ])("%j", (choice, expected) => {
    expect(decodeChoice(choice, {}, request({ stop_sequences: ["END"] }))).toMatchObject(expected);
  });
});

test.each([
  [200, "<html>"],
  [200, '{"choices":[{"mess'],
  [200, '{"choices":[]}'],
  [200, '{"error":{"message":"m"}}'],
  [200, '{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}'],
  [400, '{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'],
])("%i %s is no answer", (status, body) => {
  const context: DecodeContext = { callId: "call_a", operation: "messages", askedModel: "m", body: request() };
  expect(decode(context, { status, headers: {} }, Buffer.from(body))).toBeUndefined();
});

describe("usage", () => {
  const counted = (input: number, read: number, output: number): object => ({
    input_tokens: input,
    cache_read_input_tokens: read,
    output_tokens: output,
  });
  test.each([
    ["cached within the prompt", { ...usage, prompt_tokens_details: { cached_tokens: 4 } }, counted(6, 4, 5)],
    [
      "cached beside it",
      { ...usage, total_tokens: 19, prompt_tokens_details: { cached_tokens: 4 } },
      counted(10, 4, 5),
    ],
    ["in DeepSeek's words", { ...usage, prompt_cache_hit_tokens: 4, prompt_cache_miss_tokens: 6 }, counted(6, 4, 5)],
    ["more cached than there is", { prompt_tokens: 3, completion_tokens: 1, cached_tokens: 9 }, counted(0, 9, 1)],
    ["reasoning within", { ...usage, completion_tokens_details: { reasoning_tokens: 3 } }, counted(10, 0, 5)],
    [
      "reasoning beside",
      { ...usage, total_tokens: 18, completion_tokens_details: { reasoning_tokens: 3 } },
      { ...counted(10, 0, 8), thinking_tokens: 3 },
    ],
    [
      "cache writes",
      { ...usage, prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 } },
      { ...counted(4, 4, 5), cache_creation_input_tokens: 2 },
    ],
  ])("%s", (_, given, expected) => expect(readChatUsage(given)).toMatchObject(expected));

  test("that is missing is estimated, never zero", () => {
    const answer = decodeChoice({ message: { content: "hi" }, finish_reason: "stop" });
    expect(answer).toMatchObject({ usage: { input_tokens: Math.ceil(request().length / 2.5) } });
  });
});
