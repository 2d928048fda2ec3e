import { GatewayError } from "./error.ts";

const lf = 0x0a;
const cr = 0x0d;
const byteOrderMark = [0xef, 0xbb, 0xbf] as const;

/** A line's bytes, without its end. One object for all lines of a stream: good only during the call it is given to. */
export interface Line {
  bytes: Buffer;
  start: number;
  end: number;
}

export interface LineSink {
  /** A whole line; an empty one is the border of an event. */
  line(line: Line): void;
  /** What there is so far of a line without an end. True: the rest is of no interest, and `line` isn't called for it. */
  isUnwanted(line: Line): boolean;
}

// A held line that needed more than this gives its memory back.
const keptBytes = 65_536;
const empty = Buffer.alloc(0);

/**
 * Cuts the bytes of an SSE stream into lines: LF, CRLF or CR, wherever the chunks are cut; a byte order mark before the
 * first line is dropped.
 *
 * States: at the start of a line → (a chunk ends inside the line) holding its beginning, or skipping the rest of it →
 * at the start. Whole lines in a chunk are handed on in place.
 */
export class LineSplitter {
  readonly #sink: LineSink;
  readonly #maxEventBytes: number;
  readonly #line: Line = { bytes: empty, start: 0, end: 0 };
  #bytesSinceBorder = 0;
  #held = empty;
  #heldLength = 0;
  #skipping = false;
  #afterCr = false;
  #atFirstLine = true;

  constructor(sink: LineSink, maxEventBytes: number) {
    this.#sink = sink;
    this.#maxEventBytes = maxEventBytes;
  }

  get atLineStart(): boolean {
    return this.#heldLength === 0 && !this.#skipping;
  }

  /** @throws GatewayError `internal` when the event that the chunk leaves open is too large. */
  push(chunk: Buffer): void {
    const border = this.#split(chunk);
    this.#bytesSinceBorder = border === -1 ? this.#bytesSinceBorder + chunk.length : chunk.length - border;
    if (this.#bytesSinceBorder > this.#maxEventBytes)
      throw new GatewayError("internal", `The provider sent a stream event of more than ${this.#maxEventBytes} bytes.`);
  }

  /** The position behind the last empty line of the chunk, or -1. */
  #split(chunk: Buffer): number {
    let border = -1;
    let position = this.#afterCr && chunk[0] === lf ? 1 : 0;
    if (chunk.length > 0) this.#afterCr = false;
    // Asked once a chunk, so that streams without CR, nearly all, are left to `indexOf`.
    const hasCr = chunk.includes(cr, position);
    while (position < chunk.length) {
      const end = lineEnd(chunk, position, hasCr);
      if (end === -1) {
        this.#hold(chunk, position);
        break;
      }
      if (end === position && this.atLineStart) border = end + 1;
      this.#endLine(chunk, position, end);
      position = end + 1;
      if (chunk[end] !== cr) continue;
      if (position === chunk.length) this.#afterCr = true;
      else if (chunk[position] === lf) position += 1;
    }
    return border;
  }

  #endLine(chunk: Buffer, start: number, end: number): void {
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    if (this.#heldLength === 0) {
      this.#deliver(chunk, start, end);
      return;
    }
    this.#keep(chunk, start, end);
    const length = this.#heldLength;
    this.#heldLength = 0;
    this.#deliver(this.#held, 0, length);
    if (this.#held.length > keptBytes) this.#held = empty;
  }

  #deliver(bytes: Buffer, start: number, end: number): void {
    const line = this.#point(bytes, start, end);
    if (this.#atFirstLine) {
      this.#atFirstLine = false;
      if (byteOrderMark.every((byte, index) => bytes[start + index] === byte)) line.start += byteOrderMark.length;
    }
    this.#sink.line(line);
  }

  #point(bytes: Buffer, start: number, end: number): Line {
    const line = this.#line;
    line.bytes = bytes;
    line.start = start;
    line.end = end;
    return line;
  }

  #hold(chunk: Buffer, start: number): void {
    if (this.#skipping) return;
    if (this.#heldLength === 0 && this.#sink.isUnwanted(this.#point(chunk, start, chunk.length))) {
      this.#skipping = true;
      return;
    }
    this.#keep(chunk, start, chunk.length);
    if (!this.#sink.isUnwanted(this.#point(this.#held, 0, this.#heldLength))) return;
    this.#heldLength = 0;
    this.#skipping = true;
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    const length = this.#heldLength + end - start;
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.max(512, length * 2));
      this.#held.copy(grown, 0, 0, this.#heldLength);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldLength, start, end);
    this.#heldLength = length;
  }
}

function lineEnd(chunk: Buffer, start: number, hasCr: boolean): number {
  if (chunk[start] === lf) return start;
  if (!hasCr) return chunk.indexOf(lf, start);
  for (let position = start; position < chunk.length; position += 1)
    if (chunk[position] === lf || chunk[position] === cr) return position;
  return -1;
}
