import { fieldError } from "./body-values.ts";
import { GatewayError } from "./error.ts";
import { colon, comma, openBrace, openBracket, quote } from "./json-scanner.ts";
import { doubledMember } from "./scan-body.ts";

export interface BatchSplitterOptions {
  /** One element of `requests` in full, in their order. The bytes may share memory with a chunk. */
  readonly onRequest: (bytes: Buffer, index: number) => void;
  /** Larger elements are refused, so that no more than one of this size is ever held. */
  readonly maxRequestBytes: number;
  readonly maxRequests: number;
}

/** What may come next, outside the elements. */
type Place =
  | "start"
  | "key_or_end"
  | "key"
  | "in_key"
  | "colon"
  | "list"
  | "element_or_end"
  | "element"
  | "in_element"
  | "comma_or_list_end"
  | "comma_or_end"
  | "done";

const backslash = 0x5c;
const closeBrace = 0x7d;
const closeBracket = 0x5d;

const nowhere: ReadonlyMap<number, Place> = new Map();
const steps: Readonly<Record<Place, ReadonlyMap<number, Place>>> = {
  start: new Map([[openBrace, "key_or_end"]]),
  key_or_end: new Map([
    [quote, "in_key"],
    [closeBrace, "done"],
  ]),
  key: new Map([[quote, "in_key"]]),
  in_key: nowhere,
  colon: new Map([[colon, "list"]]),
  list: new Map([[openBracket, "element_or_end"]]),
  element_or_end: new Map([
    [openBrace, "in_element"],
    [closeBracket, "comma_or_end"],
  ]),
  element: new Map([[openBrace, "in_element"]]),
  in_element: nowhere,
  comma_or_list_end: new Map([
    [comma, "element"],
    [closeBracket, "comma_or_end"],
  ]),
  comma_or_end: new Map([
    [comma, "key"],
    [closeBrace, "done"],
  ]),
  done: nowhere,
};

/** How much of a string is looked at byte by byte before leaping on; see json-scanner. */
const nearBytes = 24;
/** Every character of `requests` as `\uXXXX`; a longer name is another. */
const longestKeyBytes = 60;

/**
 * Takes the body of a batch, `{"requests": [{…}, …]}`, apart as it arrives, holding one element at most. It finds where
 * elements begin and end; that they are sound JSON is for whoever gets them to check.
 *
 * States: those of `Place`, from `start` to `done`; what it throws is final.
 */
export class BatchSplitter {
  readonly #options: BatchSplitterOptions;
  #place: Place = "start";
  /** Bytes before the current chunk. */
  #before = 0;
  #index = 0;
  #hasRequests = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The pieces of the element or key that began in an earlier chunk. */
  #parts: Buffer[] = [];
  #partBytes = 0;

  constructor(options: BatchSplitterOptions) {
    this.#options = options;
  }

  /** Elements so far. */
  get count(): number {
    return this.#index;
  }

  /** Bytes of the element that has begun. */
  get heldBytes(): number {
    return this.#partBytes;
  }

  /** @throws GatewayError `invalid_request`, `request_too_large`, and whatever `onRequest` throws. */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#place === "in_element") at = this.#readElement(chunk, at);
      else if (this.#place === "in_key") at = this.#readKey(chunk, at);
      else at = this.#step(chunk, at);
    }
    this.#before += chunk.length;
  }

  /** @throws GatewayError `invalid_request` unless the body is whole. */
  end(): void {
    if (this.#before === 0) throw new GatewayError("invalid_request", "The request body is empty.");
    if (this.#place !== "done") throw this.#malformed("it ends too early,", 0);
    if (!this.#hasRequests) throw fieldError("requests", "Field required");
    if (this.#index === 0) throw fieldError("requests", "List should have at least 1 item after validation, not 0");
  }

  /** One byte between elements. */
  #step(chunk: Buffer, at: number): number {
    const byte = chunk[at]!;
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return at + 1;
    const next = steps[this.#place].get(byte);
    if (next === undefined) throw this.#refuse(at);
    this.#place = next;
    if (next !== "in_element") return at + 1;
    if (this.#index >= this.#options.maxRequests)
      throw fieldError("requests", `List should have at most ${this.#options.maxRequests} items`);
    return at;
  }

  #refuse(at: number): GatewayError {
    if (this.#place === "list") return fieldError("requests", "Input should be a valid list");
    if (this.#place === "element" || this.#place === "element_or_end")
      return fieldError(`requests.${this.#index}`, "Input should be a valid dictionary");
    return this.#malformed("unexpected character", at);
  }

  #malformed(what: string, at: number): GatewayError {
    return new GatewayError(
      "invalid_request",
      `The request body is not valid JSON: ${what} at byte ${this.#before + at}.`,
    );
  }

  #readKey(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length) {
      const byte = chunk[at]!;
      at += 1;
      if (this.#escaped) this.#escaped = false;
      else if (byte === backslash) this.#escaped = true;
      else if (byte === quote) {
        this.#endKey(this.#take(chunk.subarray(from, at - 1)), at);
        return at;
      }
    }
    this.#keep(chunk.subarray(from, at));
    if (this.#partBytes > longestKeyBytes) throw unknownMember();
    return at;
  }

  #endKey(raw: Buffer, at: number): void {
    if (raw.length > longestKeyBytes) throw unknownMember();
    let key: unknown;
    try {
      key = JSON.parse(`"${raw.toString()}"`);
    } catch {
      throw this.#malformed("unexpected character", at);
    }
    if (key !== "requests") throw unknownMember();
    if (this.#hasRequests) throw doubledMember("requests");
    this.#hasRequests = true;
    this.#place = "colon";
  }

  #readElement(chunk: Buffer, from: number): number {
    let at = from;
    let depth = this.#depth;
    let inString = this.#inString;
    const end = chunk.length;
    if (this.#escaped) {
      this.#escaped = false;
      at += 1;
    }
    let near = 0;
    while (at < end) {
      const byte = chunk[at]!;
      at += 1;
      if (inString) {
        near += 1;
        if (byte === quote) inString = false;
        else if (byte === backslash) {
          near = 0;
          at += 1;
        } else if (near === nearBytes) {
          near = 0;
          at = leap(chunk, at);
        }
      } else if (byte === quote) {
        inString = true;
        near = 0;
      }
      // `{` and `[` have the same low bits, and so have `}` and `]`.
      else if ((byte & 0xdf) === openBracket) depth += 1;
      else if ((byte & 0xdf) === closeBracket && (depth -= 1) === 0) {
        this.#depth = 0;
        this.#inString = false;
        this.#endElement(chunk.subarray(from, at));
        return at;
      }
    }
    this.#depth = depth;
    this.#inString = inString;
    // A backslash at the very end: what it escapes comes with the next chunk.
    this.#escaped = at > end;
    this.#keep(chunk.subarray(from, end));
    this.#checkSize(this.#partBytes);
    return end;
  }

  #endElement(last: Buffer): void {
    this.#checkSize(this.#partBytes + last.length);
    const index = this.#index;
    this.#index += 1;
    this.#place = "comma_or_list_end";
    this.#options.onRequest(this.#take(last), index);
  }

  #checkSize(bytes: number): void {
    const most = this.#options.maxRequestBytes;
    if (bytes <= most) return;
    const mebibytes = most / 1_048_576;
    throw new GatewayError(
      "request_too_large",
      `requests.${this.#index}: Request exceeds the maximum size of ${mebibytes} MiB.`,
    );
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#partBytes += part.length;
  }

  #take(last: Buffer): Buffer {
    if (this.#parts.length === 0) return last;
    this.#keep(last);
    const whole = Buffer.concat(this.#parts, this.#partBytes);
    this.#parts = [];
    this.#partBytes = 0;
    return whole;
  }
}

/** The next quote of a string, or the first of the backslashes right before it; the chunk's end if it has none. */
function leap(chunk: Buffer, start: number): number {
  const found = chunk.indexOf(quote, start);
  let at = found === -1 ? chunk.length : found;
  while (at > start && chunk[at - 1] === backslash) at -= 1;
  return at;
}

function unknownMember(): GatewayError {
  return new GatewayError("invalid_request", "Extra inputs are not permitted: a batch has the member `requests` only.");
}
