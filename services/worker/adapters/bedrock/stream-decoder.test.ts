import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createStreamObserver } from "#shared/messages/stream-observer.ts";
import { chunkFrame, eventFrame, exceptionFrame } from "../../../../test/support/event-frames.ts";
import { classifyEvent } from "./classify.ts";
import { createStreamDecoder } from "./stream-decoder.ts";

function decodeAll(bytes: Buffer, cut = bytes.length): string {
  const decoder = createStreamDecoder();
  const parts = [decoder.push(bytes.subarray(0, cut)), decoder.push(bytes.subarray(cut)), decoder.end()];
  return Buffer.concat(parts.filter((part) => part !== undefined)).toString();
}

/** The error that a caller's stream ends with. */
function errorOf(bytes: Buffer): { readonly type: string; readonly message: string } | undefined {
  const observer = createStreamObserver();
  observer.push(Buffer.from(decodeAll(bytes)));
  return observer.error;
}

const start = '{"type":"message_start","message":{"id":"msg_bdrk_1","usage":{"input_tokens":3,"output_tokens":1}}}';
const delta = '{"type":"content_block_delta","index":0, "delta":{"type":"text_delta","text":"hé \\u00fc"}}';
const stop =
  '{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":5,"invocationLatency":812,"firstByteLatency":301}}';
const stream = Buffer.concat([chunkFrame(start), chunkFrame(delta), chunkFrame(stop)]);
const sse = `event: message_start\ndata: ${start}\n\nevent: content_block_delta\ndata: ${delta}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n`;

describe("a stream of chunks", () => {
  test("becomes server-sent events with each event's own bytes, cut anywhere; Bedrock's metrics are left out", () => {
    for (let cut = 0; cut <= stream.length; cut += 1) expect(decodeAll(stream, cut)).toBe(sse);
  });

  test("events of an unknown type pass, those without one do not", () => {
    const frames = [
      chunkFrame('{"type":"new_event","x":1}'),
      chunkFrame('{"x":1}'),
      chunkFrame("[]"),
      chunkFrame('{"type":"a\\nb"}'),
    ];
    expect(decodeAll(Buffer.concat(frames))).toBe('event: new_event\ndata: {"type":"new_event","x":1}\n\n');
  });

  test("a type that does not stand in front is found", () => {
    expect(decodeAll(chunkFrame('{"index":0,"type":"content_block_stop"}'))).toBe(
      'event: content_block_stop\ndata: {"index":0,"type":"content_block_stop"}\n\n',
    );
  });

  test("an event over several lines becomes one line", () => {
    expect(decodeAll(chunkFrame('{"type":"ping",\n"x":1}'))).toBe('event: ping\ndata: {"type":"ping","x":1}\n\n');
  });

  test("frames that are no chunks are left out", () => {
    const other = eventFrame({ ":message-type": "event", ":event-type": "initial-response" }, "{}");
    expect(decodeAll(Buffer.concat([other, chunkFrame('{"type":"ping"}')]))).toBe(
      'event: ping\ndata: {"type":"ping"}\n\n',
    );
  });
});

describe("an exception inside a stream", () => {
  test.each([
    ["throttlingException", "rate_limit_error", "rate_limited"],
    ["serviceUnavailableException", "overloaded_error", "overloaded"],
    ["internalServerException", "api_error", "server_error"],
    ["modelStreamErrorException", "api_error", "server_error"],
    ["modelTimeoutException", "timeout_error", "no_status"],
    ["validationException", "invalid_request_error", "invalid_request"],
    ["somethingNewException", "api_error", "server_error"],
  ])("%s is an error event of type %s", (name, type, reason) => {
    const error = errorOf(
      Buffer.concat([chunkFrame(start), exceptionFrame(name, "in arn:aws:iam::123456789012:role/x")]),
    );
    expect(error?.type).toBe(type);
    expect(classifyEvent(error!).reason).toBe(reason);
    // Only a validation's words are about the caller's request.
    expect(error?.message.includes("arn:")).toBe(type === "invalid_request_error");
  });

  test("an error frame without a payload counts too", () => {
    const frame = eventFrame(
      { ":message-type": "error", ":error-code": "ThrottlingException", ":error-message": "slow" },
      "",
    );
    expect(errorOf(frame)?.type).toBe("rate_limit_error");
  });

  test("what comes behind it is not looked at", () => {
    const text = decodeAll(Buffer.concat([exceptionFrame("internalServerException", "x"), chunkFrame(start)]));
    expect(text.match(/^event: /gm)).toHaveLength(1);
  });

  test("an error event of the model's own passes as it came", () => {
    const event = '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}';
    expect(decodeAll(chunkFrame(event))).toBe(`event: error\ndata: ${event}\n\n`);
  });
});

describe("a broken stream ends with an error event that names the fault in the trace", () => {
  const flipped = Buffer.from(stream);
  flipped[stream.length - 20] = (flipped[stream.length - 20] ?? 0) ^ 1;
  const claims = Buffer.from("80000000000000000000000000000000", "hex");
  test.each([
    ["a wrong checksum", flipped, "wrong checksum of a frame"],
    ["a truncated frame", stream.subarray(0, -5), "truncated frame"],
    ["a page in place of frames", Buffer.from("<!doctype html><html></html>"), "wrong checksum of a frame's head"],
    [
      "a frame that claims 2 GB, checksum and all",
      Buffer.concat([claims.subarray(0, 8), crcOf(claims)]),
      "a frame that claims too much",
    ],
    [
      "a payload that is no chunk",
      eventFrame({ ":message-type": "event", ":event-type": "chunk" }, "]"),
      "a frame's payload that cannot be read",
    ],
    [
      "a payload without bytes",
      eventFrame({ ":message-type": "event", ":event-type": "chunk" }, '{"p":1}'),
      "a frame's payload that cannot be read",
    ],
  ])("%s", (_, bytes, fault) => {
    const error = errorOf(bytes);
    expect(error?.type).toBe("api_error");
    expect(classifyEvent(error!)).toMatchObject({ reason: "server_error", detail: fault });
  });

  test("a stream that just ends has no words of its own", () =>
    expect(decodeAll(chunkFrame(start))).toContain("message_start"));

  test("somebody else's words are no detail", () => {
    expect(
      classifyEvent({ type: "api_error", message: "The provider's event stream is broken: by me." }).detail,
    ).toBeUndefined();
  });
});

function crcOf(prelude: Buffer): Buffer {
  const frame = Buffer.alloc(4);
  frame.writeUInt32BE(crc32(prelude.subarray(0, 8)));
  return frame;
}
