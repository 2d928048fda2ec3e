import type { ByteRange } from "./call.ts";
import { nameList, scanElements, scanMembers } from "./json-members.ts";
import { openBrace, openBracket, quote, skipValue, type JsonCursor } from "./json-scanner.ts";
import { scanBody } from "./scan-body.ts";

/** A body that caching was asked for, and what was done about it, for the trace. */
export interface CachedBody {
  readonly bytes: Buffer;
  readonly note: string;
}

const mark = '"cache_control":{"type":"ephemeral"}';
const anyMark = Buffer.from('"cache_control"');

/**
 * Sets the one breakpoint that a caller forgot: at the end of what stays the same from call to call, which is its system
 * prompt, or its tools if it has none. A body that has marks anywhere is left alone; nothing else in it moves.
 */
export function setCacheBreakpoint(bytes: Buffer): CachedBody {
  if (bytes.includes(anyMark)) return { bytes, note: "caching: the caller's own marks" };
  const { cursor, members } = scanBody(bytes);
  const { system, tools } = members;
  if (system !== undefined && bytes[system.start] === quote && system.end - system.start > 2)
    return { bytes: markText(bytes, system), note: "caching: system" };
  const block = system && lastMarkable(cursor, system, isTextWithoutText);
  if (block !== undefined) return { bytes: markObject(bytes, block), note: "caching: system" };
  const tool = tools && lastMarkable(cursor, tools, isDeferred);
  if (tool !== undefined) return { bytes: markObject(bytes, tool), note: "caching: tools" };
  return { bytes, note: "caching: nothing to mark" };
}

/** A text in place of a block becomes the block. */
function markText(bytes: Buffer, { start, end }: ByteRange): Buffer {
  return Buffer.concat([
    bytes.subarray(0, start),
    Buffer.from('[{"type":"text","text":'),
    bytes.subarray(start, end),
    Buffer.from(`,${mark}}]`),
    bytes.subarray(end),
  ]);
}

function markObject(bytes: Buffer, { end }: ByteRange): Buffer {
  const brace = end - 1;
  return Buffer.concat([bytes.subarray(0, brace), Buffer.from(`,${mark}`), bytes.subarray(brace)]);
}

const memberNames = nameList("type", "text", "name", "defer_loading");
type Found = ReturnType<typeof scanMembers<(typeof memberNames.names)[number]>>["found"];

/** The last object of a list that a provider lets be marked. */
function lastMarkable(
  cursor: JsonCursor,
  list: ByteRange,
  isBarred: (found: Found, bytes: Buffer) => boolean,
): ByteRange | undefined {
  const { bytes } = cursor;
  let last: ByteRange | undefined;
  if (bytes[list.start] !== openBracket) return undefined;
  scanElements(cursor, list.start, (start) => {
    if (bytes[start] !== openBrace) return skipValue(cursor, start);
    const { found, end } = scanMembers(cursor, start, { names: memberNames });
    const isEmpty = found.type === undefined && found.name === undefined;
    if (!isEmpty && !isBarred(found, bytes)) last = { start, end };
    return end;
  });
  return last;
}

/** Empty text is not cached, and a mark on it is refused. */
function isTextWithoutText({ text }: Found): boolean {
  return text === undefined || text.end - text.start <= 2;
}

/** A tool that is loaded when it is found is no part of the prompt. */
function isDeferred({ defer_loading: deferred }: Found, bytes: Buffer): boolean {
  return deferred !== undefined && bytes[deferred.start] === 0x74;
}
