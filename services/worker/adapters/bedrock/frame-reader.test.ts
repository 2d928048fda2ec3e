import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { chunkFrame, eventFrame } from "../../../../test/support/event-frames.ts";
import { createFrameReader, type Frame } from "./frame-reader.ts";

const first = eventFrame({ ":message-type": "event", ":event-type": "chunk" }, "payload one");
const second = eventFrame({ a: "", "long-name-of-a-header": "ü".repeat(300) }, "");
const both = Buffer.concat([first, second]);

function summary(frames: readonly Frame[]): unknown {
  return frames.map(({ headers, payload }) => [Object.fromEntries(headers), payload.toString()]);
}

const expected = [
  [{ ":message-type": "event", ":event-type": "chunk" }, "payload one"],
  [{ a: "", "long-name-of-a-header": "ü".repeat(300) }, ""],
];

/** The head of a frame with a right checksum, whatever it claims. */
function prelude(totalBytes: number, headerBytes: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(totalBytes, 0);
  bytes.writeUInt32BE(headerBytes, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
  return bytes;
}

describe("frames that AWS' library wrote", () => {
  test("are read, cut in two anywhere", () => {
    for (let cut = 0; cut <= both.length; cut += 1) {
      const reader = createFrameReader();
      const frames = [...reader.push(both.subarray(0, cut)), ...reader.push(both.subarray(cut))];
      expect(summary(frames)).toEqual(expected);
      expect(reader.isInside).toBe(false);
    }
  });

  test("are read byte by byte", () => {
    const reader = createFrameReader();
    const frames = [...both].flatMap((byte) => reader.push(Buffer.from([byte])));
    expect(summary(frames)).toEqual(expected);
  });

  test("are read many in one chunk", () => {
    const frames = createFrameReader().push(Buffer.concat(Array.from({ length: 50 }, () => both)));
    expect(frames).toHaveLength(100);
  });

  test("may be megabytes and come in small chunks", () => {
    const large = chunkFrame("x".repeat(3_000_000));
    const reader = createFrameReader();
    const frames: Frame[] = [];
    for (let at = 0; at < large.length; at += 1000) frames.push(...reader.push(large.subarray(at, at + 1000)));
    expect(frames[0]?.payload.length).toBeGreaterThan(4_000_000);
  });
});

describe("a frame that is wrong", () => {
  test("in any one bit is never taken for a right one", () => {
    for (let bit = 0; bit < first.length * 8; bit += 1) {
      const bytes = Buffer.from(first);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const reader = createFrameReader();
      expect(reader.push(bytes)).toEqual([]);
      expect(reader.fault).toMatch(/^wrong checksum/);
    }
  });

  test("and claims 2 GB is refused by its head, before anything is gathered", () => {
    const reader = createFrameReader();
    expect(reader.push(prelude(2 ** 31, 0))).toEqual([]);
    expect(reader.fault).toBe("a frame that claims too much");
    expect(reader.isInside).toBe(false);
    expect(reader.push(first)).toEqual([]);
  });

  test.each([
    [prelude(15, 0), "a frame that claims too little"],
    [prelude(0, 0), "a frame that claims too little"],
    [prelude(100, 90), "a frame that claims too little"],
    [prelude(1000, 2 ** 31), "a frame that claims too little"],
  ])("in its lengths is refused (%#)", (bytes, fault) => {
    const reader = createFrameReader();
    reader.push(bytes);
    expect(reader.fault).toBe(fault);
  });

  test.each([["03616263"], ["0361626309"], ["036162630a0001"], ["0361626307"], ["036162630700"], ["03616263070005aa"]])(
    "in its headers is refused: %s",
    (hex) => {
      const headers = Buffer.from(hex, "hex");
      const front = Buffer.concat([prelude(16 + headers.length, headers.length), headers]);
      const checksum = Buffer.alloc(4);
      checksum.writeUInt32BE(crc32(front));
      const reader = createFrameReader();
      expect(reader.push(Buffer.concat([front, checksum]))).toEqual([]);
      expect(reader.fault).toBe("headers of a frame that cannot be read");
    },
  );

  test("does not take back the frames before it", () => {
    const reader = createFrameReader();
    expect(reader.push(Buffer.concat([both, prelude(2 ** 31, 0)]))).toHaveLength(2);
    expect(reader.fault).toBeDefined();
  });

  test("and unfinished is known as such", () => {
    const reader = createFrameReader();
    reader.push(both.subarray(0, -1));
    expect(reader.isInside).toBe(true);
    expect(reader.fault).toBeUndefined();
  });
});

test("headers of other types are stepped over", () => {
  const name = Buffer.from("\u0001h");
  const headers = Buffer.concat([
    ...[[0], [1], [2, 9], [3, 9, 9], [4, 9, 9, 9, 9], [5, ...Array(8).fill(9)], [6, 0, 2, 9, 9]].map((value) =>
      Buffer.concat([name, Buffer.from(value as number[])]),
    ),
    Buffer.concat([name, Buffer.from([8, ...Array(8).fill(9)])]),
    Buffer.concat([name, Buffer.from([9, ...Array(16).fill(9)])]),
    Buffer.from("\u0001s\u0007\u0000\u0002ok"),
  ]);
  const front = Buffer.concat([prelude(16 + headers.length, headers.length), headers]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(front));
  const [frame] = createFrameReader().push(Buffer.concat([front, checksum]));
  expect(Object.fromEntries(frame?.headers ?? [])).toEqual({ s: "ok" });
});
