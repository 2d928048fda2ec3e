import { describe, expect, test } from "vitest";
import { createStreamObserver, type StreamObserver } from "./stream-observer.ts";

const usage = { input_tokens: 25, cache_creation_input_tokens: 0, cache_read_input_tokens: 7, output_tokens: 1 };

function frame(event: string, data: object = {}): string {
  return `event: ${event}\ndata: ${JSON.stringify({ type: event, ...data })}\n\n`;
}

const start = frame("message_start", { message: { id: "msg_1", type: "message", container: null, usage } });
const block = frame("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
const delta = frame("content_block_delta", {
  index: 0,
  delta: { type: "text_delta", text: "é 漢 😀 event: message_stop" },
});
const messageDelta = frame("message_delta", {
  delta: { stop_reason: "end_turn", container: { id: "container_1" } },
  usage: { output_tokens: 89, input_tokens: null },
});
const stop = frame("message_stop");
const ping = frame("ping");
const transcript = [start, block, ping, delta, ": keep alive\n\n", delta, messageDelta, stop].join("");

function observe(...chunks: (string | Buffer)[]): StreamObserver {
  const observer = createStreamObserver();
  for (const chunk of chunks) observer.push(Buffer.from(chunk as string));
  return observer;
}

function stateOf({ started, contentStarted, stopped, error, usage, messageId, containerId, atBorder }: StreamObserver) {
  return { started, contentStarted, stopped, error, usage, messageId, containerId, atBorder };
}

const complete = {
  started: true,
  contentStarted: true,
  stopped: true,
  error: undefined,
  usage: { ...usage, output_tokens: 89 },
  messageId: "msg_1",
  containerId: "container_1",
  atBorder: true,
};

describe("a whole transcript is read the same", () => {
  const variants: [string, string][] = [
    ["with LF", transcript],
    ["with CRLF", transcript.replaceAll("\n", "\r\n")],
    ["with CR", transcript.replaceAll("\n", "\r")],
    ["without spaces behind the colons", transcript.replaceAll("data: ", "data:").replaceAll("event: ", "event:")],
    ["with data before the name", transcript.replaceAll(/(event: .*)\n(data: .*)\n/g, "$2\n$1\n")],
    ["with data on several lines", transcript.replaceAll('"type":', '\ndata: "type":\ndata: ')],
    ["with comments and other fields inside events", transcript.replaceAll("data: ", ": x\nid: 5\ndata: ")],
    ["behind a byte order mark", `\ufeff${transcript}`],
  ];
  test.each(variants)("%s, cut at every byte", (_name, text) => {
    const bytes = Buffer.from(text);
    expect(stateOf(observe(bytes))).toEqual(complete);
    expect(stateOf(observe(...[...bytes].map((byte) => Buffer.from([byte]))))).toEqual(complete);
    for (let cut = 0; cut <= bytes.length; cut += 1)
      expect(stateOf(observe(bytes.subarray(0, cut), bytes.subarray(cut)))).toEqual(complete);
  });
});

describe("what has been seen so far:", () => {
  test.each([
    ["nothing", "", { started: false, contentStarted: false }],
    ["a comment", ": ping\n\n", { started: false, contentStarted: false }],
    ["a ping", ping, { started: false, contentStarted: false }],
    ["the start", start + ping, { started: true, contentStarted: false, stopped: false, messageId: "msg_1" }],
    ["content", start + block, { started: true, contentStarted: true, stopped: false }],
    ["content without a start", delta, { started: false, contentStarted: true }],
    ["an event nobody knows", start + frame("future"), { started: true, contentStarted: true }],
    [
      "events without names, which clients skip",
      start.replaceAll(/event: .*\n/g, ""),
      { started: false, contentStarted: true },
    ],
    ["a stop whose blank line is missing", start + stop.slice(0, -1), { stopped: false, atBorder: false }],
    ["an event without data", "event: message_stop\n\n", { stopped: false, contentStarted: false }],
    ["a name that only begins like another", frame("message_stopped"), { stopped: false, contentStarted: true }],
  ])("%s", (_name, text, expected) => {
    expect(stateOf(observe(text))).toMatchObject(expected);
  });
});

test("an error event is told with its details, and is no content", () => {
  const error = { type: "overloaded_error", message: "Overloaded", details: { error_code: "x" } };
  expect(stateOf(observe(start, frame("error", { error })))).toMatchObject({ error, contentStarted: false });
});

test("an error event that makes no sense is an error all the same", () => {
  for (const text of ["event: error\ndata: oops\n\n", "event: error\ndata: 5\n\n", "event: error\ndata\n\n"])
    expect(observe(text).error).toEqual({
      type: "api_error",
      message: "The provider ended the stream with an error.",
    });
});

test("broken JSON in events that are read does no harm", () => {
  const broken = "event: message_start\ndata: {\n\nevent: message_delta\ndata: []\n\n";
  expect(stateOf(observe(broken))).toMatchObject({ started: true, contentStarted: true, messageId: undefined });
});

test("later totals replace earlier ones, what is missing or null stays", () => {
  const more = frame("message_delta", { usage: { output_tokens: 100, cache_read_input_tokens: 9 } });
  expect(observe(start, messageDelta, more).usage).toEqual({
    ...usage,
    output_tokens: 100,
    cache_read_input_tokens: 9,
  });
});

test("the border is where no event is open, comments or not", () => {
  const bytes = Buffer.from(`${start}: x\n${delta}`);
  const borders: number[] = [];
  const observer = createStreamObserver();
  if (observer.atBorder) borders.push(0);
  bytes.forEach((byte, index) => {
    observer.push(Buffer.from([byte]));
    if (observer.atBorder) borders.push(index + 1);
  });
  expect(borders).toEqual([0, start.length, start.length + 4, bytes.length]);
});

test("an event of more than 16 MiB is refused, many small ones are not", () => {
  const observer = observe(start);
  const chunk = Buffer.from(delta.repeat(5000));
  for (let count = 0; count < 30; count += 1) observer.push(chunk);
  observer.push(Buffer.from("event: content_block_delta\ndata: "));
  const piece = Buffer.alloc(1024 * 1024, "x");
  expect(() => {
    for (let count = 0; count < 17; count += 1) observer.push(piece);
  }).toThrow("The provider sent a stream event of more than 16777216 bytes.");
});
