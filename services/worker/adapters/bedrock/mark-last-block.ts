import type { ByteRange } from "#shared/messages/call.ts";
import { nameList, scanElements, scanMembers } from "#shared/messages/json-members.ts";
import {
  openBrace,
  openBracket,
  openJson,
  quote,
  skipValue,
  skipWhitespace,
  type JsonCursor,
} from "#shared/messages/json-scanner.ts";

const bodyNames = nameList("messages");
const messageNames = nameList("content");
const blockNames = nameList("type", "cache_control");
const uncacheable: ReadonlySet<string> = new Set(["thinking", "redacted_thinking"]);

/**
 * A checked body in which a mark for the whole conversation, which this wire does not know, stands on the last block
 * that can be marked: what the mark means. `[bytes]` where that block has one or there is none. The mark is JSON text.
 */
export function markLastBlock(bytes: Buffer, mark: string): Buffer[] {
  const cursor = openJson(bytes);
  const { messages } = scanMembers(cursor, skipWhitespace(bytes, 0), { names: bodyNames }).found;
  const message = messages && lastObject(cursor, messages);
  const content = message && scanMembers(cursor, message.start, { names: messageNames }).found.content;
  if (content === undefined) return [bytes];
  if (bytes[content.start] === quote) return markText(bytes, content, mark);
  const block = lastObject(cursor, content, isMarkable);
  if (block === undefined || scanMembers(cursor, block.start, { names: blockNames }).found.cache_control)
    return [bytes];
  const inside = block.start + 1;
  return [bytes.subarray(0, inside), Buffer.from(`"cache_control":${mark},`), bytes.subarray(inside)];
}

/** A text in place of blocks becomes one; empty text cannot be marked. */
function markText(bytes: Buffer, { start, end }: ByteRange, mark: string): Buffer[] {
  if (end - start <= 2) return [bytes];
  return [
    bytes.subarray(0, start),
    Buffer.from('[{"type":"text","text":'),
    bytes.subarray(start, end),
    Buffer.from(`,"cache_control":${mark}}]`),
    bytes.subarray(end),
  ];
}

function lastObject(
  cursor: JsonCursor,
  list: ByteRange,
  isWanted: (cursor: JsonCursor, start: number) => boolean = () => true,
): ByteRange | undefined {
  let last: ByteRange | undefined;
  if (cursor.bytes[list.start] !== openBracket) return undefined;
  scanElements(cursor, list.start, (start) => {
    const end = skipValue(cursor, start);
    if (cursor.bytes[start] === openBrace && isWanted(cursor, start)) last = { start, end };
    return end;
  });
  return last;
}

function isMarkable(cursor: JsonCursor, start: number): boolean {
  const { type } = scanMembers(cursor, start, { names: blockNames }).found;
  if (type === undefined) return false;
  const name: unknown = JSON.parse(cursor.bytes.toString("utf8", type.start, type.end));
  return typeof name === "string" && !uncacheable.has(name);
}
