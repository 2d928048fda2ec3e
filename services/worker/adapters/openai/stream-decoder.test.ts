import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DecodeContext } from "../adapter.ts";
import { readStream, type ReadStream } from "../translate/stream-grammar.ts";
import { createStreamDecoder } from "./stream-decoder.ts";

const context: DecodeContext = {
  callId: "call_abc",
  operation: "messages",
  askedModel: "mine",
  body: Buffer.from(JSON.stringify({ model: "mine", max_tokens: 9, stop_sequences: ["END"] })),
};

/** The stream of these chunks; a string is sent as it is. */
function wire(...chunks: (object | string)[]): Buffer {
  return Buffer.from(chunks.map((c) => `data: ${typeof c === "string" ? c : JSON.stringify(c)}\n\n`).join(""));
}

function decodeBytes(pieces: readonly Buffer[]): Buffer {
  const decoder = createStreamDecoder(context);
  const out = [...pieces.map((piece) => decoder.push(piece)), decoder.end()];
  return Buffer.concat(out.filter((bytes) => bytes !== undefined));
}

function decode(...chunks: (object | string)[]): ReadStream {
  return readStream(decodeBytes([wire(...chunks)]));
}

const delta = (members: object): object => ({
  choices: [{ index: 0, delta: members, finish_reason: null }],
  usage: null,
});
const finish = (reason: string, members: object = {}): object => ({
  choices: [{ index: 0, delta: {}, finish_reason: reason, ...members }],
});
const usage = (prompt: number, completion: number): object => ({
  choices: [],
  usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
});
const fragment = (index: number | undefined, members: object): object => delta({ tool_calls: [{ index, ...members }] });
const named = (index: number | undefined, id: string, name: string): object =>
  fragment(index, { id, type: "function", function: { name, arguments: "" } });
const args = (index: number | undefined, piece: string): object => fragment(index, { function: { arguments: piece } });

const done = "[DONE]";
const call = (id: string, name: string, input: unknown): object => ({
  type: "tool_use",
  id,
  name,
  input,
  caller: { type: "direct" },
});

test("text, its end and its usage", () => {
  const chunks = [delta({ role: "assistant", content: "" }), delta({ content: "hé" }), delta({ content: "llo" })];
  expect(decode(...chunks, finish("stop"), usage(11, 2), done)).toMatchObject({
    stopped: true,
    message: {
      id: "msg_abc",
      model: "mine",
      content: [{ type: "text", text: "héllo" }],
      stop_reason: "end_turn",
      usage: { input_tokens: 11, output_tokens: 2 },
    },
  });
});

describe("the end", () => {
  test("comes without [DONE], and with an estimate where no usage came", () => {
    const { message } = decode(delta({ content: "hello" }), finish("length"));
    expect(message).toMatchObject({ stop_reason: "max_tokens", usage: { output_tokens: 2 } });
    expect(message).toMatchObject({ usage: { input_tokens: Math.ceil(context.body.length / 2.5) } });
  });
  test("takes the last usage, never a sum", () => {
    const withUsage = (chunk: object, completion: number): object => ({ ...usage(9, completion), ...chunk });
    const chunks = [withUsage({ choices: [{ delta: { content: "a" } }] }, 1), withUsage(finish("stop"), 2)];
    expect(decode(...chunks, done).message).toMatchObject({ usage: { input_tokens: 9, output_tokens: 2 } });
  });
  test("names the stop sequence where the server does", () => {
    expect(decode(delta({ content: "a" }), finish("stop", { stop_reason: "END" }), done).message).toMatchObject({
      stop_reason: "stop_sequence",
      stop_sequence: "END",
    });
  });
  test("is a refusal with its words", () => {
    expect(decode(delta({ refusal: "I " }), delta({ refusal: "won't" }), finish("stop"), done).message).toMatchObject({
      content: [{ text: "I won't" }],
      stop_reason: "refusal",
      stop_details: { explanation: "I won't" },
    });
  });
  test("is missing where the stream was cut", () => {
    expect(decode(delta({ content: "a" }))).toMatchObject({ stopped: false });
  });
  test("is an error where [DONE] came without a reason", () => {
    expect(decode(delta({ content: "a" }), done)).toMatchObject({ stopped: false, error: { type: "api_error" } });
  });
  test("is the end: nothing follows it", () => {
    expect(
      decode(delta({ content: "a" }), finish("stop"), usage(1, 1), delta({ content: "b" }), done).message,
    ).toMatchObject({ content: [{ text: "a" }] });
  });
});

describe("tool calls", () => {
  const ends = [finish("tool_calls"), usage(1, 1), done];
  const of = (...chunks: object[]): unknown => decode(...chunks, ...ends).message?.["content"];

  test("mixed by their index", () => {
    const chunks = [
      named(0, "a", "f"),
      named(1, "b", "g"),
      args(1, '{"y"'),
      args(0, '{"x":'),
      args(1, ":2}"),
      args(0, "1}"),
    ];
    expect(of(...chunks)).toEqual([call("a", "f", { x: 1 }), call("b", "g", { y: 2 })]);
  });
  test("with empty ids and repeated names in later fragments", () => {
    const repeated = fragment(0, { id: "", function: { name: "f", arguments: "1}" } });
    expect(of(named(0, "a", "f"), args(0, '{"x":'), repeated)).toEqual([call("a", "f", { x: 1 })]);
  });
  test("with the name in pieces", () => {
    expect(of(named(0, "a", "get_"), fragment(0, { function: { name: "it" } }), args(0, "{}"))).toEqual([
      call("a", "get_it", {}),
    ]);
  });
  test("whole ones that share an index", () => {
    const whole = (id: string): object => fragment(0, { id, function: { name: "f", arguments: `{"id":"${id}"}` } });
    expect(of(whole("a"), whole("b"))).toEqual([call("a", "f", { id: "a" }), call("b", "f", { id: "b" })]);
  });
  test("without an index, told apart by id or by name", () => {
    const whole = (id: string | undefined, name: string): object =>
      fragment(undefined, { id, function: { name, arguments: '{"x":1}' } });
    expect(of(whole("a", "f"), whole("b", "f"))).toEqual([call("a", "f", { x: 1 }), call("b", "f", { x: 1 })]);
    expect(of(whole(undefined, "f"), whole(undefined, "g"))).toMatchObject([{ name: "f" }, { name: "g" }]);
  });
  test("without arguments, and with text before and behind", () => {
    expect(of(delta({ content: "a" }), named(0, "t", "f"), delta({ content: "b" }))).toMatchObject([
      { text: "a" },
      { type: "tool_use", input: {} },
      { text: "b" },
    ]);
  });
  test("end with tool_use whatever the server calls it", () => {
    expect(decode(named(0, "a", "f"), args(0, "{}"), finish("stop"), done).message).toMatchObject({
      stop_reason: "tool_use",
    });
  });
});

test("reasoning is signed by the name it came under", () => {
  const both = delta({ reasoning: "b", reasoning_content: "b" });
  const content = (...chunks: object[]): unknown => decode(...chunks, finish("stop"), done).message?.["content"];
  expect(content(delta({ reasoning_content: "a" }), both, delta({ content: "c" }))).toMatchObject([
    { type: "thinking", thinking: "ab", signature: "sluice:openai" },
    { text: "c" },
  ]);
  expect(content(delta({ reasoning: "a" }), delta({ content: "c" }), delta({ reasoning: "d" }))).toMatchObject([
    { thinking: "a", signature: "sluice:openai:reasoning" },
    { text: "c" },
    { thinking: "d" },
  ]);
});

describe("an error in the stream", () => {
  test.each([
    [{ error: { message: "m", type: "server_error" } }, "api_error"],
    [{ error: { message: "m", code: 429 } }, "rate_limit_error"],
    [{ error: { message: "m", code: "insufficient_quota" } }, "billing_error"],
    [{ error: { message: "m", type: "overloaded_error" } }, "overloaded_error"],
    [{ error: { message: "m", type: "invalid_request_error" } }, "invalid_request_error"],
    [{ choices: [{ delta: {}, finish_reason: "error", error: { code: 503, message: "m" } }] }, "overloaded_error"],
    [finish("insufficient_system_resource"), "overloaded_error"],
    ["<html>", "api_error"],
  ])("%j is %s", (chunk, type) => {
    expect(decode(delta({ content: "a" }), chunk, done)).toMatchObject({ stopped: false, error: { type } });
  });
});

const sample = wire(
  delta({ role: "assistant", content: "" }),
  delta({ reasoning_content: "grüble…" }),
  delta({ content: "tschüß 你好" }),
  named(0, "a", "f"),
  named(1, "b", "g"),
  args(0, '{"ö":'),
  args(1, "{}"),
  args(0, "1}"),
  finish("tool_calls"),
  usage(5, 6),
  done,
);

test("cut anywhere, with any line ends and comments, it is the same answer", () => {
  const whole = readStream(decodeBytes([sample]));
  for (let at = 1; at < sample.length; at += 1)
    expect(readStream(decodeBytes([sample.subarray(0, at), sample.subarray(at)]))).toEqual(whole);
  const crlf = Buffer.from(`: PROCESSING\n\n${sample.toString()}`.replaceAll("\n", "\r\n"));
  expect(readStream(decodeBytes([...crlf].map((byte) => Buffer.of(byte))))).toEqual(whole);
});

const anyText = fc.constantFrom("", " ", "a", "ö", "\n");
const anyTool = fc.record(
  {
    index: fc.constantFrom(0, 1, 2, null),
    id: fc.constantFrom("", "a", "b", "c d"),
    function: fc.record(
      { name: fc.constantFrom("", "f", "g"), arguments: fc.constantFrom("", "{", "}", "{}", '"x":1', {}) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const anyDelta = fc.record(
  {
    content: fc.oneof(anyText, fc.constant(null), fc.constant([{ type: "text", text: "p" }])),
    reasoning: anyText,
    reasoning_content: anyText,
    refusal: anyText,
    tool_calls: fc.array(anyTool, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const anyChunk = fc.oneof(
  { weight: 8, arbitrary: anyDelta.map(delta) },
  { weight: 1, arbitrary: fc.constantFrom(finish("stop"), finish("length"), finish("error"), usage(1, 2)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<object | string>({}, { choices: [] }, { error: {} }, done, "null", "junk", "[]"),
  },
);

test("any chunks in any order, cut anywhere, obey the grammar", () => {
  fc.assert(
    fc.property(fc.array(anyChunk, { maxLength: 20 }), fc.nat(500), (chunks, at) => {
      const bytes = wire(...chunks);
      const read = readStream(decodeBytes([bytes.subarray(0, at), bytes.subarray(at)]));
      expect(read.stopped && read.error !== undefined).toBe(false);
    }),
    { numRuns: 500 },
  );
});
