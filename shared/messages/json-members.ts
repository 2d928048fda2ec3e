import type { ByteRange } from "./call.ts";
import {
  comma,
  malformed,
  maxDepth,
  openBrace,
  openBracket,
  skipColon,
  skipString,
  skipValue,
  skipWhitespace,
  tooDeep,
  type JsonCursor,
} from "./json-scanner.ts";

/** Names of members that are looked for in an object. */
export interface NameList<N extends string> {
  readonly names: readonly N[];
  readonly bytes: readonly Buffer[];
}

export function nameList<const N extends string>(...names: readonly N[]): NameList<N> {
  return { names, bytes: names.map((name) => Buffer.from(name)) };
}

/** The range of a member's value, and what is needed to take the whole member out. */
export interface Member extends ByteRange {
  readonly keyStart: number;
  /** The comma before the member, or -1. */
  readonly commaBefore: number;
  /** The comma or brace behind the member. */
  readonly next: number;
}

export interface Members<N extends string> {
  /** The listed members that are there under exactly their name, however it is escaped. */
  readonly found: Partial<Record<N, Member>>;
  /** A listed name that more than one member goes by, after unescaping and in whatever letter case. */
  readonly doubled: N | undefined;
  /** The position behind the object. */
  readonly end: number;
}

export interface MemberQuery<N extends string> {
  readonly names: NameList<N>;
  /** Reads the value at `start` in place of `skipValue`; gives the position behind it. */
  readonly value?: (name: N | undefined, start: number) => number;
}

/** Reads the object at `open` and notes where the members of the query lie. */
export function scanMembers<N extends string>(cursor: JsonCursor, open: number, query: MemberQuery<N>): Members<N> {
  const { bytes } = cursor;
  const { names } = query.names;
  const found: Partial<Record<N, Member>> = {};
  let doubled: N | undefined;
  let seen = 0;
  let commaBefore = -1;
  enter(cursor, open);
  let position = skipWhitespace(bytes, open + 1);
  if (bytes[position] === openBrace + 2) return leave(cursor, { found, doubled, end: position + 1 });
  for (;;) {
    const keyStart = position;
    const keyEnd = skipString(cursor, keyStart);
    const match = matchName(query.names, bytes, { start: keyStart + 1, end: keyEnd - 1 });
    const name = match === noMatch ? undefined : names[match >> 1];
    const exact = (match & 1) === 0 ? name : undefined;
    const start = skipColon(bytes, keyEnd);
    const end = query.value === undefined ? skipValue(cursor, start) : query.value(exact, start);
    position = skipWhitespace(bytes, end);
    if (name !== undefined) {
      const bit = 1 << (match >> 1);
      if ((seen & bit) !== 0) doubled ??= name;
      seen |= bit;
    }
    if (exact !== undefined) found[exact] = { keyStart, start, end, commaBefore, next: position };
    if (bytes[position] !== comma) break;
    commaBefore = position;
    position = skipWhitespace(bytes, position + 1);
  }
  if (bytes[position] !== openBrace + 2) throw malformed(bytes, position);
  return leave(cursor, { found, doubled, end: position + 1 });
}

/** Reads the array at `open`; `element` reads the element at `start` and gives the position behind it. */
export function scanElements(
  cursor: JsonCursor,
  open: number,
  element: (start: number, index: number) => number,
): number {
  const { bytes } = cursor;
  enter(cursor, open);
  let position = skipWhitespace(bytes, open + 1);
  if (bytes[position] === openBracket + 2) return leave(cursor, position + 1);
  for (let index = 0; ; index += 1) {
    position = skipWhitespace(bytes, element(position, index));
    if (bytes[position] !== comma) break;
    position = skipWhitespace(bytes, position + 1);
  }
  if (bytes[position] !== openBracket + 2) throw malformed(bytes, position);
  return leave(cursor, position + 1);
}

function enter(cursor: JsonCursor, open: number): void {
  if (cursor.depth === maxDepth) throw tooDeep(open);
  cursor.depth += 1;
}

function leave<T>(cursor: JsonCursor, result: T): T {
  cursor.depth -= 1;
  return result;
}

const noMatch = -1;

/** Twice the index of the name that the key is, plus 1 if only in another letter case; or `noMatch`. */
function matchName(list: NameList<string>, bytes: Buffer, key: ByteRange): number {
  const length = key.end - key.start;
  for (let index = 0; index < list.bytes.length; index += 1) {
    const name = list.bytes[index]!;
    if (name.length !== length) continue;
    const difference = compareName(bytes, key.start, name);
    if (difference >= 0) return index * 2 + difference;
  }
  return isPlainKey(bytes, key) ? noMatch : matchDecoded(list.names, bytes, key);
}

/** 0 if `name` stands at `start`, 1 if it does so in another letter case, else -1. */
function compareName(bytes: Buffer, start: number, name: Buffer): number {
  let difference = 0;
  for (let index = 0; index < name.length; index += 1) {
    const wanted = name[index]!;
    const byte = bytes[start + index]!;
    if (byte === wanted) continue;
    const lower = wanted | 0x20;
    if ((byte | 0x20) !== lower || lower < 0x61 || lower > 0x7a) return -1;
    difference = 1;
  }
  return difference;
}

// Every character of the longest name as `\uXXXX`; a longer key is none of ours.
const longestEscapedName = 120;

function isPlainKey(bytes: Buffer, key: ByteRange): boolean {
  if (key.end - key.start > longestEscapedName) return true;
  for (let position = key.start; position < key.end; position += 1) {
    const byte = bytes[position]!;
    if (byte >= 0x80 || byte === 0x5c) return false;
  }
  return true;
}

function matchDecoded(names: readonly string[], bytes: Buffer, key: ByteRange): number {
  const text: unknown = JSON.parse(bytes.toString("utf8", key.start - 1, key.end + 1));
  if (typeof text !== "string") return noMatch;
  const index = names.indexOf(text);
  if (index >= 0) return index * 2;
  const folded = foldCase(text);
  const foldedIndex = names.findIndex((name) => foldCase(name) === folded);
  return foldedIndex >= 0 ? foldedIndex * 2 + 1 : noMatch;
}

/** Both ways, since some readers take `ſ` for an s and the Kelvin sign for a k. */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase();
}
