import type { ByteRange } from "./call.ts";
import { GatewayError } from "./error.ts";
import { scanElements, scanMembers, type Members, type NameList } from "./json-members.ts";
import { openBrace, openBracket, quote, skipValue, type JsonCursor } from "./json-scanner.ts";
import { doubledMember } from "./scan-body.ts";

// Longer names and ids than any there are; they become keys and log fields.
const maxTextLength = 256;
// Lists that we look into element by element; the Messages API allows three fallbacks.
const maxListLength = 100;

/** A value inside a scanned body, and how the caller would name it. */
export interface BodyValue extends ByteRange {
  readonly path: string;
}

/** Anthropic's way of saying that a member is wrong: `max_tokens: Field required`. `path`: of names that we know. */
export function fieldError(path: string, message: string): GatewayError {
  return new GatewayError("invalid_request", `${path}: ${message}`, { where: path });
}

export function isNull(cursor: JsonCursor, value: ByteRange): boolean {
  return cursor.bytes[value.start] === 0x6e;
}

export function isText(cursor: JsonCursor, value: ByteRange): boolean {
  return cursor.bytes[value.start] === quote;
}

export function isList(cursor: JsonCursor, value: ByteRange): boolean {
  return cursor.bytes[value.start] === openBracket;
}

function isObject(cursor: JsonCursor, value: ByteRange): boolean {
  return cursor.bytes[value.start] === openBrace;
}

/** @throws GatewayError `invalid_request` if it is no string, longer than 256 characters, or has lone surrogates. */
export function readText(cursor: JsonCursor, value: BodyValue): string {
  if (!isText(cursor, value)) throw fieldError(value.path, "Input should be a valid string");
  // Six bytes are the longest a character can be written in, two quotes are around.
  const text = value.end - value.start > maxTextLength * 6 + 2 ? undefined : decodeText(cursor.bytes, value);
  if (text === undefined || text.length > maxTextLength)
    throw fieldError(value.path, `String should have at most ${maxTextLength} characters`);
  if (!text.isWellFormed()) throw fieldError(value.path, "String should be valid Unicode");
  return text;
}

/** The string whose JSON lies in the range. */
function decodeText(bytes: Buffer, range: ByteRange): string {
  return JSON.parse(bytes.toString("utf8", range.start, range.end)) as string;
}

/** @throws GatewayError `invalid_request` if it is no whole number from 0 up that can be counted with. */
export function readCount(cursor: JsonCursor, value: BodyValue): number {
  const { start, end, path } = value;
  const first = cursor.bytes[start]!;
  const isNumber = first === 0x2d || (first >= 0x30 && first <= 0x39);
  // A number may be as long as the body; no sane one is longer than this.
  const count = isNumber && end - start <= 40 ? Number(cursor.bytes.toString("latin1", start, end)) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw fieldError(path, "Input should be a valid integer");
  if (count < 0) throw fieldError(path, "Input should be greater than or equal to 0");
  return count === 0 ? 0 : count;
}

/** @throws GatewayError `invalid_request` if it is no list or longer than 100. */
export function readList(cursor: JsonCursor, value: BodyValue): BodyValue[] {
  const { path } = value;
  if (!isList(cursor, value)) throw fieldError(path, "Input should be a valid list");
  const elements: BodyValue[] = [];
  scanElements(cursor, value.start, (start, index) => {
    if (index === maxListLength) throw fieldError(path, `List should have at most ${maxListLength} items`);
    const end = skipValue(cursor, start);
    elements.push({ start, end, path: `${path}.${index}` });
    return end;
  });
  return elements;
}

/** @throws GatewayError `invalid_request` if it is no list of strings. */
export function readTexts(cursor: JsonCursor, value: BodyValue): string[] {
  return readList(cursor, value).map((element) => readText(cursor, element));
}

export interface ObjectValue<N extends string> {
  readonly members: Members<N>["found"];
  /** @throws GatewayError `invalid_request` if the member is missing. */
  required(name: N): BodyValue;
}

/** @throws GatewayError `invalid_request` if it is no object, or one of these members is doubled. */
export function readObject<N extends string>(cursor: JsonCursor, value: BodyValue, names: NameList<N>): ObjectValue<N> {
  const { path, start } = value;
  if (!isObject(cursor, value)) throw fieldError(path, "Input should be a valid dictionary");
  const { found, doubled } = scanMembers(cursor, start, { names });
  if (doubled !== undefined) throw doubledMember(`${path}.${doubled}`);
  return {
    members: found,
    required(name) {
      const member = found[name];
      if (member === undefined) throw fieldError(`${path}.${name}`, "Field required");
      return { start: member.start, end: member.end, path: `${path}.${name}` };
    },
  };
}
