import { isUtf8 } from "node:buffer";

import { readBody, type CallBodyFacts } from "./body.ts";
import { fieldError, isNull, readText } from "./body-values.ts";
import type { ByteRange } from "./call.ts";
import { GatewayError } from "./error.ts";
import { nameList, scanMembers, type Members } from "./json-members.ts";
import { openBrace, openJson, skipValue, type JsonCursor } from "./json-scanner.ts";
import { doubledMember } from "./scan-body.ts";

/** One request of a batch, its envelope checked. */
export interface BatchItem {
  readonly customId: string;
  /** The bytes of `params`: the body of an ordinary call. Shares the request's memory. */
  readonly params: Buffer;
  /** A member of `params` that a batch does not allow. */
  readonly refused?: string;
}

const itemNames = nameList("custom_id", "params");
const refusedNames = nameList("speed", "fallbacks", "thread", "billing_policy");
type Refused = Members<(typeof refusedNames.names)[number]>;

const customIdPattern = /^[a-zA-Z0-9_-]{1,64}$/;
const longestPolicyBytes = 1000;

/**
 * Reads one element of `requests`. Its `params` are sound JSON afterwards; whether they make a call is `readItemFacts`'
 * business, so that a bad one spoils no other.
 * @throws GatewayError `invalid_request` naming the member: the whole batch is refused.
 */
export function readBatchItem(bytes: Buffer, index: number): BatchItem {
  const path = `requests.${index}`;
  try {
    return readItem(bytes, path);
  } catch (reason) {
    if (!(reason instanceof GatewayError) || reason.message.startsWith(path)) throw reason;
    throw new GatewayError("invalid_request", `${path}: ${reason.message}`, { where: path });
  }
}

function readItem(bytes: Buffer, path: string): BatchItem {
  if (!isUtf8(bytes)) throw new GatewayError("invalid_request", "The request body is not valid UTF-8.");
  const cursor = openJson(bytes);
  let inside: Refused | undefined;
  const { found, doubled } = scanMembers(cursor, 0, {
    names: itemNames,
    value(name, start) {
      if (name === undefined) throw fieldError(path, "Extra inputs are not permitted");
      if (name !== "params" || bytes[start] !== openBrace) return skipValue(cursor, start);
      inside = scanMembers(cursor, start, { names: refusedNames });
      return inside.end;
    },
  });
  if (doubled !== undefined) throw doubledMember(`${path}.${doubled}`);
  const customId = readCustomId(cursor, found.custom_id, `${path}.custom_id`);
  if (found.params === undefined) throw fieldError(`${path}.params`, "Field required");
  if (inside === undefined) throw fieldError(`${path}.params`, "Input should be a valid dictionary");
  const refused = findRefused(cursor, inside);
  const params = bytes.subarray(found.params.start, found.params.end);
  return { customId, params, ...(refused === undefined ? undefined : { refused }) };
}

function readCustomId(cursor: JsonCursor, range: ByteRange | undefined, path: string): string {
  if (range === undefined) throw fieldError(path, "Field required");
  const customId = readText(cursor, { start: range.start, end: range.end, path });
  if (!customIdPattern.test(customId)) throw fieldError(path, "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'");
  return customId;
}

function findRefused(cursor: JsonCursor, { found, doubled }: Refused): string | undefined {
  if (doubled !== undefined) return doubled;
  for (const name of refusedNames.names) {
    const member = found[name];
    if (member === undefined || isNull(cursor, member)) continue;
    if (name !== "billing_policy" || billsOthers(cursor.bytes, member)) return name;
  }
  return undefined;
}

function billsOthers(bytes: Buffer, range: ByteRange): boolean {
  if (range.end - range.start > longestPolicyBytes) return true;
  const policy: unknown = JSON.parse(bytes.toString("utf8", range.start, range.end));
  return typeof policy !== "object" || policy === null || !("bill_to" in policy) || policy.bill_to !== "self";
}

/**
 * What the gateway decides on in an item's `params`.
 * @throws GatewayError `invalid_request`: this item ends as `errored`.
 */
export function readItemFacts({ params, refused }: BatchItem): CallBodyFacts {
  if (refused !== undefined) throw fieldError(refused, "Not allowed in a batch");
  const facts = readBody(params, "messages");
  if (facts.stream) throw fieldError("stream", "Not allowed in a batch");
  if (facts.maxTokens === 0) throw fieldError("max_tokens", "Input should be greater than or equal to 1");
  return facts;
}
