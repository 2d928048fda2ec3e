import { crc32 } from "node:zlib";
import type { FrameFault } from "./broken-frame.ts";

/** A frame of AWS' event stream: its headers of type string, and its payload. */
export interface Frame {
  readonly headers: ReadonlyMap<string, string>;
  readonly payload: Buffer;
}

export interface FrameReader {
  /** The frames that end in this chunk, wherever frames are cut. Nothing more comes after a fault. */
  push(chunk: Buffer): Frame[];
  /** What was wrong with the bytes. */
  readonly fault: FrameFault | undefined;
  /** Bytes of a frame have come, but not all of them. */
  readonly isInside: boolean;
}

/** Total length, length of the headers, checksum of these two. */
const preludeBytes = 12;
const checksumBytes = 4;
/** The service's own frames are a few kilobytes; what claims more is not waited for. */
const maxFrameBytes = 16 * 1024 * 1024;

export function createFrameReader(): FrameReader {
  return new EventFrameReader();
}

/** States: gathering a prelude → gathering its frame → (the frame) gathering a prelude; a fault ends it. */
class EventFrameReader implements FrameReader {
  fault: FrameFault | undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #wantedBytes = preludeBytes;

  get isInside(): boolean {
    return this.#pendingBytes > 0;
  }

  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    if (this.fault !== undefined) return frames;
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    // A frame in many chunks is joined once its last byte is there, so that a large one is not copied over and over.
    if (this.#pendingBytes < this.#wantedBytes) return frames;
    let bytes = this.#pending.length === 1 ? chunk : Buffer.concat(this.#pending, this.#pendingBytes);
    for (;;) {
      const frame = this.#readFrame(bytes);
      if (frame === undefined) break;
      frames.push(frame);
      bytes = bytes.subarray(this.#wantedBytes);
      this.#wantedBytes = preludeBytes;
    }
    const rest = this.fault === undefined && bytes.length > 0 ? [bytes] : [];
    this.#pending = rest;
    this.#pendingBytes = rest[0]?.length ?? 0;
    return frames;
  }

  /** Leaves the frame's length in `wantedBytes`, as soon as that is known. */
  #readFrame(bytes: Buffer): Frame | undefined {
    if (bytes.length < preludeBytes) return undefined;
    const totalBytes = bytes.readUInt32BE(0);
    const headersEnd = preludeBytes + bytes.readUInt32BE(4);
    // The checksum comes first: what fails it says nothing true about lengths.
    if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) return this.#fail("wrong checksum of a frame's head");
    if (totalBytes > maxFrameBytes) return this.#fail("a frame that claims too much");
    if (totalBytes < headersEnd + checksumBytes) return this.#fail("a frame that claims too little");
    this.#wantedBytes = totalBytes;
    if (bytes.length < totalBytes) return undefined;
    const payloadEnd = totalBytes - checksumBytes;
    if (crc32(bytes.subarray(0, payloadEnd)) !== bytes.readUInt32BE(payloadEnd))
      return this.#fail("wrong checksum of a frame");
    const headers = readHeaders(bytes.subarray(preludeBytes, headersEnd));
    if (headers === undefined) return this.#fail("headers of a frame that cannot be read");
    return { headers, payload: bytes.subarray(headersEnd, payloadEnd) };
  }

  #fail(fault: FrameFault): undefined {
    this.fault = fault;
    return undefined;
  }
}

const stringType = 7;
/** Bytes of the values of the other types; -1 where a length of two bytes stands before the value. */
const valueBytes: readonly number[] = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16];

/** Undefined when they do not fill their space exactly. */
function readHeaders(bytes: Buffer): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  let position = 0;
  while (position < bytes.length) {
    const nameEnd = position + 1 + (bytes[position] ?? 0);
    const type = bytes[nameEnd];
    const fixed = type === undefined ? undefined : valueBytes[type];
    if (fixed === undefined) return undefined;
    const lengthAt = nameEnd + 1;
    if (fixed === -1 && lengthAt + 2 > bytes.length) return undefined;
    const start = fixed === -1 ? lengthAt + 2 : lengthAt;
    const end = start + (fixed === -1 ? bytes.readUInt16BE(lengthAt) : fixed);
    if (end > bytes.length) return undefined;
    if (type === stringType)
      headers.set(bytes.toString("utf8", position + 1, nameEnd), bytes.toString("utf8", start, end));
    position = end;
  }
  return headers;
}
