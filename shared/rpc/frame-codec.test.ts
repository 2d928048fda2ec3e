import { describe, expect, test } from "vitest";
import type { Frame, Frame__Output } from "#proto/worker/v1/Frame.ts";
import { encodeMessage, queueControl, queueCredit, queueData, readMessage, type QueuedFrame } from "./frame-codec.ts";
import { workerProto } from "./worker-proto.ts";

const json = Buffer.from('{"a":1}');
const frames: readonly Frame[] = [
  { call: 0, hello: { version: 1, peerKind: "gateway", peerId: "g1", epoch: "e", creditBytes: 262_144 } },
  { call: 1, open: { callId: "call_1", delivery: 1, keepOrphan: true, head: json, bodyLength: 70_000 } },
  { call: 2, open: { callId: "call_2", delivery: 2, head: json, sentBefore: json, bodyKey: "body:1" } },
  { call: 3, attach: { callId: "call_3", delivery: 3 } },
  { call: 3, held: { held: true } },
  { call: 3, held: { held: false } },
  { call: 1, sent: json },
  { call: 1, data: Buffer.alloc(160, "d") },
  { call: 127, data: Buffer.alloc(0) },
  { call: 0xffffffff, data: Buffer.alloc(32 * 1024, "x") },
  { call: 300, head: json },
  { call: 20_000, outcome: { facts: json, bodyLength: 1_000_000 } },
  { call: 3_000_000, end: json },
  { call: 5, reset: { reason: "RESET_REASON_SUPERSEDED", asked: true, message: "later delivery" } },
  { call: 6, credit: 131_072 },
  { call: 0x10000000, credit: 1 },
  { call: 7, received: {} },
  { call: 0, drain: {} },
  { call: 0, load: 0 },
];

function queue(frame: Frame): QueuedFrame {
  if (frame.data !== undefined) return queueData(frame.call ?? 0, frame.data as Buffer);
  if (frame.credit !== undefined) return queueCredit(frame.call ?? 0, frame.credit);
  return queueControl(frame);
}

/** What a reader is told, with the frames that it is told of by other means in the shape of the others. */
function read(message: Buffer, seen: Partial<Frame__Output>[] = []): Partial<Frame__Output>[] {
  readMessage(message, {
    data: (call, data) => seen.push({ call, data, body: "data" }),
    credit: (call, credit) => seen.push({ call, credit, body: "credit" }),
    control: (frame) => seen.push(frame),
  });
  return seen;
}

describe.each(frames.map((frame) => [Object.keys(frame)[1], frame] as const))("a %s frame", (_kind, frame) => {
  const request = workerProto().types.SessionRequest;

  test("has the bytes that proto-loader gives it", () => {
    const bytes = encodeMessage([queue(frame)], 0, 1);
    expect(bytes.equals(request.serialize({ frames: [frame] }))).toBe(true);
    expect(bytes.equals(workerProto().types.SessionResponse.serialize({ frames: [frame] }))).toBe(true);
  });

  test("is read as proto-loader reads it", () => {
    const bytes = request.serialize({ frames: [frame] });
    expect(read(bytes)).toEqual(request.deserialize(bytes).frames);
  });
});

test("many frames of all kinds make one message, read in their order", () => {
  const request = workerProto().types.SessionRequest;
  const all = [...frames, ...frames];
  const bytes = encodeMessage(all.map(queue), 0, all.length);
  expect(bytes.equals(request.serialize({ frames: all }))).toBe(true);
  expect(read(bytes)).toEqual(request.deserialize(bytes).frames);
});

test("a data frame whose members come in another order is read all the same", () => {
  const bytes = Buffer.from([0x0a, 0x05, 0x3a, 0x01, 0x78, 0x08, 0x09]);
  expect(read(bytes)).toEqual([{ call: 9, data: Buffer.from("x"), body: "data" }]);
});

test("every beginning of a message is refused or read as fewer frames, never as other ones", () => {
  const message = encodeMessage(frames.slice(0, 9).map(queue), 0, 9);
  const whole = read(message);
  for (let end = 0; end < message.length; end++) {
    const seen: Partial<Frame__Output>[] = [];
    try {
      read(message.subarray(0, end), seen);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
    expect(seen).toEqual(whole.slice(0, seen.length));
  }
});

test("bytes that are no message are refused", () => {
  expect(() => read(Buffer.from("GET / HTTP/1.1"))).toThrow(RangeError);
  expect(() => read(Buffer.alloc(12, 0xff))).toThrow(RangeError);
  expect(() => read(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]))).toThrow(RangeError);
});
