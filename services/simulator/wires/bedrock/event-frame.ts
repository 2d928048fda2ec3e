import { crc32 } from "node:zlib";

const stringType = 7;

/** A frame of AWS' event stream with these headers, all of them strings. */
export function eventFrame(headers: Readonly<Record<string, string>>, payload: string): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => encodeHeader(name, value)));
  const body = Buffer.from(payload);
  const frame = Buffer.alloc(head.length + body.length + 16);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(head.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  head.copy(frame, 12);
  body.copy(frame, 12 + head.length);
  frame.writeUInt32BE(crc32(frame.subarray(0, -4)), frame.length - 4);
  return frame;
}

function encodeHeader(name: string, value: string): Buffer {
  const [key, text] = [Buffer.from(name), Buffer.from(value)];
  const lengths = Buffer.from([stringType, text.length >> 8, text.length & 0xff]);
  return Buffer.concat([Buffer.from([key.length]), key, lengths, text]);
}
