import { affinityHash } from "./affinity-hash.ts";
import {
  fieldError,
  isList,
  isNull,
  isText,
  readCount,
  readList,
  readObject,
  readText,
  readTexts,
  type BodyValue,
} from "./body-values.ts";
import type { ByteRange, Operation, RoutingWishes, SpliceRanges, ThreadUse } from "./call.ts";
import { nameList, type Member } from "./json-members.ts";
import { comma } from "./json-scanner.ts";
import { doubledMember, scanBody, type BodyMember, type ScannedBody } from "./scan-body.ts";

/** What the gateway decides on, read in one pass over the bytes. */
export interface CallBodyFacts {
  readonly model: string;
  /** False for a count, whatever the body says: only whole answers to it exist. */
  readonly stream: boolean;
  readonly maxTokens?: number;
  readonly splices: SpliceRanges;
  readonly wishes: RoutingWishes;
  /** `providerOptions.gateway.caching`: the gateway is to set the cache breakpoint that the body lacks. */
  readonly caching?: "auto";
  readonly thread?: ThreadUse;
  /** Id of the container that the call goes on in. */
  readonly container?: string;
  /** Every model named besides `model`, each once: by `fallbacks`, advisor tools, `providerOptions.gateway.models`. */
  readonly otherModels: readonly string[];
  /** Names the conversation; undefined when there is nothing to hash. */
  readonly affinityHash?: string;
}

/**
 * Checks what the gateway decides on and nothing else: the rest of the body is the provider's business. Nothing but the
 * few strings and numbers of the facts is made from the JSON.
 * @throws GatewayError `invalid_request` that names the member, in Anthropic's words.
 */
export function readBody(bytes: Buffer, operation: Operation): CallBodyFacts {
  const body = scanBody(bytes);
  const model = readModel(body);
  checkMessages(body);
  const maxTokens = readMaxTokens(body, operation);
  const stream = readStream(body);
  const { wishes, caching } = readWishes(body);
  const thread = readThread(body);
  const container = readContainer(body);
  const otherModels = new Set([...readFallbackModels(body), ...readAdvisorModels(body), ...(wishes.models ?? [])]);
  const affinity = affinityHash(body);
  return {
    model,
    stream: stream && operation === "messages",
    splices: spliceRanges(body),
    wishes,
    otherModels: [...otherModels],
    ...(caching === undefined ? undefined : { caching }),
    ...(maxTokens === undefined ? undefined : { maxTokens }),
    ...(thread === undefined ? undefined : { thread }),
    ...(container === undefined ? undefined : { container }),
    ...(affinity === undefined ? undefined : { affinityHash: affinity }),
  };
}

/** A member that is there and not null. */
function valueOf(body: ScannedBody, name: BodyMember): BodyValue | undefined {
  const member = body.members[name];
  return member === undefined ? undefined : notNull(body, member, name);
}

function notNull(body: ScannedBody, member: ByteRange | undefined, path: string): BodyValue | undefined {
  if (member === undefined || isNull(body.cursor, member)) return undefined;
  return { start: member.start, end: member.end, path };
}

function required(body: ScannedBody, name: BodyMember): BodyValue {
  const member = body.members[name];
  if (member === undefined) throw fieldError(name, "Field required");
  return { start: member.start, end: member.end, path: name };
}

function readModel(body: ScannedBody): string {
  return readName(body, required(body, "model"));
}

/** A string that is not empty. */
function readName(body: ScannedBody, value: BodyValue): string {
  const text = readText(body.cursor, value);
  if (text === "") throw fieldError(value.path, "String should have at least 1 character");
  return text;
}

// An empty list is right for a message thread that goes on.
function checkMessages(body: ScannedBody): void {
  if (!isList(body.cursor, required(body, "messages"))) throw fieldError("messages", "Input should be a valid list");
}

function readMaxTokens(body: ScannedBody, operation: Operation): number | undefined {
  const value = operation === "messages" ? required(body, "max_tokens") : valueOf(body, "max_tokens");
  return value === undefined ? undefined : readCount(body.cursor, value);
}

function readStream(body: ScannedBody): boolean {
  const value = valueOf(body, "stream");
  if (value === undefined) return false;
  const first = body.cursor.bytes[value.start];
  if (first === 0x74) return true;
  if (first === 0x66) return false;
  throw fieldError("stream", "Input should be a valid boolean");
}

const threadNames = nameList("type", "previous_message_id");

function readThread(body: ScannedBody): ThreadUse | undefined {
  const value = valueOf(body, "thread");
  if (value === undefined) return undefined;
  const thread = readObject(body.cursor, value, threadNames);
  const type = readText(body.cursor, thread.required("type"));
  if (type === "create") return { type };
  if (type === "continue") return { type, previousMessageId: readName(body, thread.required("previous_message_id")) };
  throw fieldError("thread.type", "Input should be 'create' or 'continue'");
}

const containerNames = nameList("id");

function readContainer(body: ScannedBody): string | undefined {
  const value = valueOf(body, "container");
  if (value === undefined) return undefined;
  if (isText(body.cursor, value)) return readName(body, value);
  const { members } = readObject(body.cursor, value, containerNames);
  const id = notNull(body, members.id, "container.id");
  return id === undefined ? undefined : readName(body, id);
}

const fallbackNames = nameList("model");

function readFallbackModels(body: ScannedBody): string[] {
  const { cursor } = body;
  const value = valueOf(body, "fallbacks");
  if (value === undefined) return [];
  if (isText(cursor, value) && readText(cursor, value) === "default") return [];
  if (!isList(cursor, value)) throw fieldError("fallbacks", "Input should be 'default' or a valid list");
  return readList(cursor, value).map((entry) =>
    readName(body, readObject(cursor, entry, fallbackNames).required("model")),
  );
}

/** Of all tools only advisors name a model; a `type` or `model` that is there twice might make one that we don't see. */
function readAdvisorModels(body: ScannedBody): string[] {
  const { cursor } = body;
  const models: string[] = [];
  for (const [index, { found, doubled }] of body.toolsWithModel) {
    const path = `tools.${index}`;
    if (doubled !== undefined) throw doubledMember(`${path}.${doubled}`);
    const type = notNull(body, found.type, `${path}.type`);
    if (type === undefined || !readText(cursor, type).startsWith("advisor_")) continue;
    const model = notNull(body, found.model, `${path}.model`);
    if (model !== undefined) models.push(readName(body, model));
  }
  return models;
}

const optionNames = nameList("gateway");
const wishNames = ["order", "only", "models"] as const;
const gatewayNames = nameList(...wishNames, "caching");

/** Other wishes than these are not followed, and not refused; nor is any other word for `caching`. */
function readWishes(body: ScannedBody): Pick<CallBodyFacts, "wishes" | "caching"> {
  const { cursor } = body;
  const options = valueOf(body, "providerOptions");
  if (options === undefined) return noWishes;
  const { members } = readObject(cursor, options, optionNames);
  const gateway = notNull(body, members.gateway, "providerOptions.gateway");
  if (gateway === undefined) return noWishes;
  const { members: given } = readObject(cursor, gateway, gatewayNames);
  const wishes: { order?: string[]; only?: string[]; models?: string[] } = {};
  for (const name of wishNames) {
    const value = notNull(body, given[name], `${gateway.path}.${name}`);
    if (value !== undefined) wishes[name] = readTexts(cursor, value);
  }
  const caching = notNull(body, given.caching, `${gateway.path}.caching`);
  const isAuto = caching !== undefined && isText(cursor, caching) && readText(cursor, caching) === "auto";
  return isAuto ? { wishes, caching: "auto" } : { wishes };
}

const noWishes = { wishes: {} };

function spliceRanges({ cursor, members }: ScannedBody): SpliceRanges {
  const model = members.model!;
  const { stream, providerOptions } = members;
  return {
    model: { start: model.start, end: model.end },
    ...(stream === undefined ? undefined : { stream: { start: stream.start, end: stream.end } }),
    ...(providerOptions === undefined ? undefined : { providerOptions: wholeMember(cursor.bytes, providerOptions) }),
  };
}

/** The member with the comma behind it, or before it if it is the last. */
function wholeMember(bytes: Buffer, { keyStart, end, commaBefore, next }: Member): ByteRange {
  if (bytes[next] === comma) return { start: keyStart, end: next + 1 };
  return { start: commaBefore === -1 ? keyStart : commaBefore, end };
}

/** What to put into a body; what is absent stays as it is. */
export interface Splices {
  readonly model?: string;
  readonly stream?: boolean;
  readonly providerOptions?: "remove";
}

interface Splice extends ByteRange {
  readonly text: string;
}

/**
 * The body with members replaced, in pieces that share its memory: nothing but the replacements is copied. `[bytes]`
 * when nothing changes. A `stream` that is not there is added behind `model`.
 */
export function spliceBody(bytes: Buffer, ranges: SpliceRanges, splices: Splices): Buffer[] {
  const pieces: Buffer[] = [];
  let position = 0;
  for (const { start, end, text } of listSplices(ranges, splices)) {
    if (text !== "" && bytes.toString("utf8", start, end) === text) continue;
    if (start > position) pieces.push(bytes.subarray(position, start));
    if (text !== "") pieces.push(Buffer.from(text));
    position = end;
  }
  if (position === 0) return [bytes];
  if (position < bytes.length) pieces.push(bytes.subarray(position));
  return pieces;
}

/** In the order of the bytes. */
function listSplices(ranges: SpliceRanges, { model, stream, providerOptions }: Splices): Splice[] {
  const list: Splice[] = [];
  if (model !== undefined) list.push({ ...ranges.model, text: JSON.stringify(model) });
  if (stream !== undefined) {
    const behindModel = ranges.model.end;
    if (ranges.stream !== undefined) list.push({ ...ranges.stream, text: String(stream) });
    else if (stream) list.push({ start: behindModel, end: behindModel, text: ',"stream":true' });
  }
  if (providerOptions === "remove" && ranges.providerOptions !== undefined)
    list.push({ ...ranges.providerOptions, text: "" });
  return list.toSorted((a, b) => a.start - b.start);
}
