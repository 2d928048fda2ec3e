import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DecodeContext } from "../adapter.ts";
import { readStream, type ReadStream } from "../translate/stream-grammar.ts";
import { decode as decodeWhole } from "./decode.ts";
import { reasoningSignature } from "./reasoning-signature.ts";
import { createStreamDecoder } from "./stream-decoder.ts";

const account = "0a1b2c3d";
const contextOf = (members: object): DecodeContext => ({
  callId: "call_abc",
  operation: "messages",
  askedModel: "mine",
  body: Buffer.from(JSON.stringify({ model: "mine", max_tokens: 99, ...members })),
});
const context = contextOf({ thinking: { type: "adaptive" } });

type Event = Readonly<Record<string, unknown>> & { readonly type: string };

function wire(...events: (Event | string)[]): Buffer {
  const texts = events.map((event) =>
    typeof event === "string" ? `data: ${event}\n\n` : `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
  );
  return Buffer.from(texts.join(""));
}

function decodeBytes(pieces: readonly Buffer[], asked = context): Buffer {
  const decoder = createStreamDecoder({ account }, asked);
  const out = [...pieces.map((piece) => decoder.push(piece)), decoder.end()];
  return Buffer.concat(out.filter((bytes) => bytes !== undefined));
}

const decode = (...events: (Event | string)[]): ReadStream => readStream(decodeBytes([wire(...events)]));

const created: Event = { type: "response.created", response: { status: "in_progress", output: [] } };
const added = (output_index: number, item: object): Event => ({
  type: "response.output_item.added",
  output_index,
  item,
});
const done = (output_index: number, item: object): Event => ({ type: "response.output_item.done", output_index, item });
const delta = (name: string, output_index: number, piece: string): Event => ({
  type: `response.${name}.delta`,
  output_index,
  delta: piece,
});
const said = (output_index: number, piece: string): Event => delta("output_text", output_index, piece);
const args = (output_index: number, piece: string): Event => delta("function_call_arguments", output_index, piece);
const summary = (output_index: number, piece: string): Event => delta("reasoning_summary_text", output_index, piece);
const usage = { input_tokens: 11, output_tokens: 2, total_tokens: 13 };
const completed: Event = { type: "response.completed", response: { status: "completed", output: [], usage } };
const incomplete = (reason: string): Event => ({
  type: "response.incomplete",
  response: { status: "incomplete", incomplete_details: { reason }, usage },
});

const message = (...content: object[]): object => ({ type: "message", role: "assistant", content });
const words = (text: string): object => ({ type: "output_text", text });
const call = (id: string, name: string, json = ""): object => ({
  type: "function_call",
  call_id: id,
  name,
  arguments: json,
});
const reasoning = (id: string, texts: readonly string[] = [], encrypted?: string): object => ({
  type: "reasoning",
  id,
  summary: texts.map((text) => ({ type: "summary_text", text })),
  encrypted_content: encrypted,
});
const use = (id: string, name: string, input: unknown): object => ({ type: "tool_use", id, name, input });
const signed = (id: string, encrypted: string): string => reasoningSignature({ account, id, encrypted });

test("text, its end and its usage", () => {
  const events = [created, added(0, message()), said(0, "hé"), said(0, "llo"), done(0, message(words("héllo")))];
  expect(decode(...events, completed)).toMatchObject({
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

describe("reasoning", () => {
  test("is a block an item, signed with what gives it back", () => {
    const events = [
      added(0, reasoning("rs_1")),
      summary(0, "one"),
      { type: "response.reasoning_summary_part.added", output_index: 0 },
      summary(0, "two"),
      done(0, reasoning("rs_1", ["one", "two"], "AA=")),
      added(1, reasoning("rs_2")),
      done(1, reasoning("rs_2", ["three"], "BB=")),
      added(2, reasoning("rs_3")),
      done(2, reasoning("rs_3", [], "CC=")),
      said(3, "so"),
    ];
    expect(decode(...events, completed).message).toMatchObject({
      content: [
        { type: "thinking", thinking: "one\n\ntwo", signature: signed("rs_1", "AA=") },
        { type: "thinking", thinking: "three", signature: signed("rs_2", "BB=") },
        { type: "thinking", thinking: "", signature: signed("rs_3", "CC=") },
        { type: "text", text: "so" },
      ],
    });
  });

  test("of which nothing is shown is kept for those only who asked for thinking", () => {
    const events = [done(0, reasoning("rs_1", [], "AA=")), done(1, message(words("so"))), completed];
    for (const asked of [contextOf({}), contextOf({ thinking: { type: "disabled" } })])
      expect(readStream(decodeBytes([wire(...events)], asked)).message).toMatchObject({ content: [{ text: "so" }] });
  });

  test("that a server shows is signed with its id", () => {
    const item = { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "hm" }] };
    const events = [added(0, reasoning("rs_1")), delta("reasoning_text", 0, "hm"), done(0, item), said(1, "so")];
    expect(decode(...events, completed).message).toMatchObject({
      content: [{ type: "thinking", thinking: "hm", signature: signed("rs_1", "") }, {}],
    });
  });

  test("without an end has a mark", () => {
    expect(decode(summary(0, "hm"), completed).message).toMatchObject({
      content: [{ signature: reasoningSignature() }],
    });
  });
});

describe("items whose events come mixed", () => {
  test("are told one after another", () => {
    const events = [
      added(0, reasoning("rs_1")),
      added(1, message()),
      added(2, call("a", "f")),
      args(2, '{"x":'),
      said(1, "let me"),
      summary(0, "hm"),
      added(3, call("b", "g")),
      args(3, '{"y":2}'),
      args(2, "1}"),
      done(3, call("b", "g", '{"y":2}')),
      said(1, " see"),
      done(2, call("a", "f", '{"x":1}')),
      done(0, reasoning("rs_1", ["hm"], "AA=")),
      done(1, message(words("let me see"))),
    ];
    expect(decode(...events, completed).message).toMatchObject({
      content: [
        { type: "thinking", thinking: "hm", signature: signed("rs_1", "AA=") },
        { type: "text", text: "let me see" },
        use("a", "f", { x: 1 }),
        use("b", "g", { y: 2 }),
      ],
      stop_reason: "tool_use",
    });
  });

  test("are told even if they are never said to be done", () => {
    const events = [added(0, message()), said(0, "a"), added(1, call("a", "f")), args(1, '{"x":1}')];
    expect(decode(...events, completed).message).toMatchObject({ content: [{ text: "a" }, use("a", "f", { x: 1 })] });
  });

  test("two messages in a row are one text with a gap", () => {
    const events = [done(0, message(words("a"))), added(1, message()), said(1, "b"), done(1, message(words("b")))];
    expect(decode(...events, completed).message).toMatchObject({ content: [{ text: "a\n\nb" }] });
  });
});

describe("compatible servers", () => {
  test("tell an item at its end only", () => {
    const events = [done(0, reasoning("rs_1", ["hm"])), done(1, message(words("a"))), done(2, call("a", "f", "{}"))];
    expect(decode(...events, completed, "[DONE]").message).toMatchObject({
      content: [{ thinking: "hm" }, { text: "a" }, use("a", "f", {})],
    });
  });

  test("give no index, no usage, a call's name late, and two calls one id", () => {
    const events: Event[] = [
      { type: "response.output_item.added", item: { ...call("a", ""), id: "fc_1" } },
      { type: "response.function_call_arguments.delta", item_id: "fc_1", delta: '{"x":1}' },
      { type: "response.output_item.done", item: { ...call("a", "f", '{"x":1}'), id: "fc_1" } },
      { type: "response.output_item.done", item: { ...call("a", "g", '{"y":2}'), id: "fc_2" } },
      { type: "response.completed", response: {} },
    ];
    expect(decode(...events).message).toMatchObject({
      content: [use("a", "f", { x: 1 }), { id: expect.stringMatching(/^toolu_/) as string, name: "g" }],
      usage: { input_tokens: Math.ceil(context.body.length / 2.5), output_tokens: 5 },
    });
  });
});

describe("the end", () => {
  test.each([
    [incomplete("max_output_tokens"), "max_tokens"],
    [incomplete("content_filter"), "refusal"],
    [incomplete("else"), "max_tokens"],
    [completed, "end_turn"],
  ])("%j is %s", (end, reason) => {
    expect(decode(said(0, "a"), end).message).toMatchObject({ stop_reason: reason });
  });

  test("is a refusal with its words", () => {
    const refused = {
      content: [{ text: "I won't" }],
      stop_reason: "refusal",
      stop_details: { explanation: "I won't" },
    };
    expect(decode(delta("refusal", 0, "I "), delta("refusal", 0, "won't"), completed).message).toMatchObject(refused);
    const item = message({ type: "refusal", refusal: "I won't" });
    expect(decode(done(0, item), completed).message).toMatchObject(refused);
  });

  test("within a call is an error, unless the answer was cut short", () => {
    const events = [added(0, call("a", "f")), args(0, '{"x":')];
    expect(decode(...events, completed).error).toMatchObject({ type: "api_error" });
    expect(decode(...events, incomplete("max_output_tokens")).message).toMatchObject({ stop_reason: "max_tokens" });
  });

  test("that never comes leaves the stream open; said to be there, it is an error", () => {
    expect(decode(created, said(0, "a"))).toMatchObject({ stopped: false });
    expect(decode(said(0, "a"), "[DONE]").error).toMatchObject({ type: "api_error" });
  });

  const failed = (code: string): Event => ({
    type: "response.failed",
    response: { status: "failed", error: { code, message: "key sk-1" } },
  });
  test.each([
    [failed("server_error"), "api_error", "The provider failed."],
    [failed("rate_limit_exceeded"), "rate_limit_error", "The provider failed."],
    [failed("server_is_overloaded"), "overloaded_error", "The provider failed."],
    [failed("insufficient_quota"), "billing_error", "The provider failed."],
    [failed("image_parse_error"), "invalid_request_error", "key sk-1"],
    [{ type: "response.failed", response: { status: "failed" } }, "api_error", "The provider failed."],
    [{ type: "response.cancelled", response: { status: "cancelled" } }, "api_error", "The provider failed."],
    [{ type: "error", code: "rate_limit_exceeded", message: "m" }, "rate_limit_error", "The provider failed."],
    [
      { type: "error", error: { type: "tokens", code: "rate_limit_exceeded", message: "m" } },
      "rate_limit_error",
      "The provider failed.",
    ],
    ['{"error":{"message":"m","type":"server_error"}}', "api_error", "The provider failed."],
    ["{", "api_error", "The provider's stream could not be read."],
  ] as const)("%j is an error of its kind", (event, type, told) => {
    expect(decode(created, said(0, "a"), event, completed)).toMatchObject({ error: { type, message: told } });
  });

  test("is not shaken by what is not known", () => {
    const strange: (Event | string)[] = [
      { type: "response.web_search_call.searching", output_index: 0 },
      { type: "response.output_item.added", output_index: 0, item: { type: "web_search_call" } },
      { type: "response.audio.delta", output_index: 0, delta: "x" },
      { type: "response.output_text.delta", output_index: 1, delta: 7 },
      { type: "keepalive" },
      "7",
    ];
    expect(decode(...strange, said(1, "a"), completed).message).toMatchObject({ content: [{ text: "a" }] });
  });
});

describe("any events", () => {
  const output = [reasoning("rs_1", ["hm"], "AA="), message(words("a")), call("a", "f", '{"x":1}'), call("b", "g", "")];
  const pool = output.flatMap((item, index) => [added(index, item), done(index, item)]);
  const pieces = [
    said(1, "a"),
    summary(0, "hm"),
    args(2, '{"x":1}'),
    args(3, "{"),
    said(2, "x"),
    delta("refusal", 1, "no"),
  ];
  const ends = [completed, incomplete("max_output_tokens"), "[DONE]", { type: "error", message: "m" }];
  const event = fc.constantFrom<Event | string>(created, ...pool, ...pieces, ...ends);

  test("in any order, cut anywhere, obey the grammar", () => {
    const property = fc.property(fc.array(event, { maxLength: 14 }), fc.nat(), (events, seed) => {
      const bytes = wire(...events);
      const cut = bytes.length === 0 ? 0 : seed % bytes.length;
      expect(readStream(decodeBytes([bytes.subarray(0, cut), bytes.subarray(cut)]))).toBeDefined();
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test("of an answer give what the whole answer gives, however they are mixed", () => {
    const told = output.map((item, index) => [
      added(index, { ...item, summary: [], content: [], arguments: "" }),
      ...[summary(0, "hm"), said(1, "a"), args(2, '{"x":1}')].filter((piece) => piece["output_index"] === index),
      done(index, item),
    ]);
    const document = Buffer.from(JSON.stringify({ status: "completed", output, usage }));
    const whole = decodeWhole({ account }, context, { head: { status: 200, headers: {} }, body: document });
    const { content } = JSON.parse(String(whole?.body)) as { readonly content: unknown };
    const firsts = told.map(([first]) => first as Event);
    const rest = told.flatMap((events, index) => events.slice(1).map(() => index));
    const property = fc.property(fc.shuffledSubarray(rest, { minLength: rest.length }), (order) => {
      const left = told.map((events) => events.slice(1));
      const mixed = order.map((index) => left[index]?.shift() as Event);
      expect(decode(...firsts, ...mixed, completed).message?.["content"]).toEqual(content);
    });
    fc.assert(property, { numRuns: 300 });
  });
});
