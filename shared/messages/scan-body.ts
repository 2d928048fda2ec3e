import { isUtf8 } from "node:buffer";

import type { ByteRange } from "./call.ts";
import { GatewayError } from "./error.ts";
import { nameList, scanElements, scanMembers, type Member, type Members } from "./json-members.ts";
import {
  malformed,
  openBrace,
  openBracket,
  openJson,
  skipValue,
  skipWhitespace,
  type JsonCursor,
} from "./json-scanner.ts";

// The top-level members that the gateway reads, splices or checks. All others pass as they came.
const bodyNames = nameList(
  "model",
  "stream",
  "max_tokens",
  "messages",
  "system",
  "tools",
  "fallbacks",
  "thread",
  "container",
  "providerOptions",
);
export type BodyMember = (typeof bodyNames.names)[number];

const toolNames = nameList("type", "model");
type ToolWithModel = Members<"type" | "model">;

/** Where the members lie that matter to the gateway. */
export interface ScannedBody {
  readonly cursor: JsonCursor;
  readonly members: Partial<Record<BodyMember, Member>>;
  /** The first element of `messages`. */
  readonly firstMessage: ByteRange | undefined;
  /** The first element of `system`, if that is a list. */
  readonly firstSystemBlock: ByteRange | undefined;
  /** The entries of `tools` that have a member `model`; advisors do. */
  readonly toolsWithModel: ReadonlyMap<number, ToolWithModel>;
}

const noTools: ReadonlyMap<number, ToolWithModel> = new Map();

/**
 * One strict pass over a request's body.
 * @throws GatewayError `invalid_request`: not UTF-8, not JSON, not an object, too deep, a member of ours doubled.
 */
export function scanBody(bytes: Buffer): ScannedBody {
  if (!isUtf8(bytes)) throw badBody("The request body is not valid UTF-8.");
  const cursor = openJson(bytes);
  let firstMessage: ByteRange | undefined;
  let firstSystemBlock: ByteRange | undefined;
  let toolsWithModel = noTools;

  const open = skipWhitespace(bytes, 0);
  if (bytes[open] !== openBrace) throw notAnObject(cursor, open);
  const { found, doubled, end } = scanMembers(cursor, open, {
    names: bodyNames,
    value(name, start) {
      if (bytes[start] !== openBracket) return skipValue(cursor, start);
      if (name === "messages") return scanFirst(cursor, start, (range) => (firstMessage = range));
      if (name === "system") return scanFirst(cursor, start, (range) => (firstSystemBlock = range));
      if (name === "tools") return scanTools(cursor, start, (tools) => (toolsWithModel = tools));
      return skipValue(cursor, start);
    },
  });
  const rest = skipWhitespace(bytes, end);
  if (rest < bytes.length) throw malformed(bytes, rest);
  if (doubled !== undefined) throw doubledMember(doubled);
  return { cursor, members: found, firstMessage, firstSystemBlock, toolsWithModel };
}

/** The 400 for a member that readers might take differently. `path` is the member's. */
export function doubledMember(path: string): GatewayError {
  const message = `${path}: Member appears more than once, perhaps in another letter case`;
  return new GatewayError("invalid_request", message, { where: path });
}

function badBody(message: string): GatewayError {
  return new GatewayError("invalid_request", message, { where: "body" });
}

/** JSON of another kind, or no JSON at all. */
function notAnObject(cursor: JsonCursor, start: number): GatewayError {
  if (cursor.bytes.length === 0) return badBody("The request body is empty.");
  const rest = skipWhitespace(cursor.bytes, skipValue(cursor, start));
  if (rest < cursor.bytes.length) return malformed(cursor.bytes, rest);
  return badBody("The request body should be a JSON object.");
}

function scanFirst(cursor: JsonCursor, open: number, note: (range: ByteRange) => void): number {
  return scanElements(cursor, open, (start, index) => {
    const end = skipValue(cursor, start);
    if (index === 0) note({ start, end });
    return end;
  });
}

function scanTools(
  cursor: JsonCursor,
  open: number,
  note: (tools: ReadonlyMap<number, ToolWithModel>) => void,
): number {
  const tools = new Map<number, ToolWithModel>();
  const query = { names: toolNames };
  const end = scanElements(cursor, open, (start, index) => {
    if (cursor.bytes[start] !== openBrace) return skipValue(cursor, start);
    const tool = scanMembers(cursor, start, query);
    if (tool.found.model !== undefined) tools.set(index, tool);
    return tool.end;
  });
  note(tools);
  return end;
}
