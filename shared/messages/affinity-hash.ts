import { hash } from "node:crypto";

import type { ByteRange } from "./call.ts";
import { scanMembers, nameList } from "./json-members.ts";
import { colon, comma, openBrace, skipColon, skipValue, skipWhitespace, type JsonCursor } from "./json-scanner.ts";
import type { ScannedBody } from "./scan-body.ts";

/**
 * How much of each piece is hashed. Enough to tell conversations apart; two that begin alike for so long may well go to
 * the same target. Measured: SHA-256 takes 1.5 µs for 300 bytes, 17 µs for 16 KiB and 76 µs for 64 KiB, on every call.
 */
const pieceBytes = 4096;
const scratch = Buffer.allocUnsafeSlow(3 * (pieceBytes + 1));

const billingHeader = '"x-anthropic-billing-header:';
const textName = nameList("text");
const cacheControl = Buffer.from('"cache_control"');

/**
 * Names the conversation that a body belongs to: SHA-256, 22 characters, over the beginnings of `tools`, `system` and the
 * first message as they were written. Left out are what changes within a conversation: the text block that Claude Code
 * puts first in `system`, and `cache_control` marks, which move on with the last message.
 * Undefined when none of the three has anything in it.
 */
export function affinityHash(body: ScannedBody): string | undefined {
  const { cursor, members, firstMessage } = body;
  let length = copyPiece(cursor, members.tools, 0);
  length = copyPiece(cursor, systemWithoutBilling(body), length);
  length = copyPiece(cursor, firstMessage, length);
  // Every piece ends in one byte of zero, which JSON has none of.
  if (length === 3) return undefined;
  return hash("sha256", scratch.subarray(0, length), "base64url").slice(0, 22);
}

function systemWithoutBilling({ cursor, members, firstSystemBlock }: ScannedBody): ByteRange | undefined {
  const { system } = members;
  if (system === undefined || firstSystemBlock === undefined) return system;
  if (cursor.bytes[firstSystemBlock.start] !== openBrace) return system;
  const { text } = scanMembers(cursor, firstSystemBlock.start, { names: textName }).found;
  if (text === undefined) return system;
  const beginning = cursor.bytes.toString("latin1", text.start, text.start + billingHeader.length);
  return beginning === billingHeader ? { start: firstSystemBlock.end, end: system.end } : system;
}

/** Copies the beginning of a piece to `scratch` at `offset`; gives the offset behind it. */
function copyPiece(cursor: JsonCursor, piece: ByteRange | undefined, offset: number): number {
  const full = offset + pieceBytes;
  const end = piece?.end ?? 0;
  let length = offset;
  let position = piece?.start ?? 0;
  while (position < end && length < full) {
    const mark = nextCacheMark(cursor, { start: position, end: Math.min(end, position + full - length) });
    length += cursor.bytes.copy(scratch, length, position, mark.start);
    position = mark.end;
  }
  scratch[length] = 0;
  return length + 1;
}

/** The first member `cache_control` in the window with one comma, or the empty range at the window's end. */
function nextCacheMark(cursor: JsonCursor, window: ByteRange): ByteRange {
  const { bytes } = cursor;
  let from = window.start;
  for (;;) {
    const found = bytes.subarray(from, window.end).indexOf(cacheControl);
    if (found === -1) return { start: window.end, end: window.end };
    // In a string's text the quotes would be escaped, so this is a key or a whole string.
    const key = from + found;
    from = key + cacheControl.length;
    if (bytes[skipWhitespace(bytes, from)] === colon)
      return withComma(bytes, key, skipValue(cursor, skipColon(bytes, from)));
  }
}

function withComma(bytes: Buffer, key: number, end: number): ByteRange {
  const before = lastInk(bytes, key - 1);
  if (bytes[before] === comma) return { start: lastInk(bytes, before - 1) + 1, end };
  const next = skipWhitespace(bytes, end);
  return { start: key, end: bytes[next] === comma ? skipWhitespace(bytes, next + 1) : end };
}

/** The position itself, or the last one before it that is not whitespace; a member always has one. */
function lastInk(bytes: Buffer, start: number): number {
  let position = start;
  while (skipWhitespace(bytes, position) > position) position -= 1;
  return position;
}
