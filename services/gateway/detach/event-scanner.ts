const lf = 0x0a;
const cr = 0x0d;

/**
 * Finds where the events of an SSE stream begin and end, with any of the three kinds of line end and wherever the
 * chunks are cut. Whatever stands between two blank lines counts, a comment too.
 *
 * States: at a border → (a line that is not empty) inside an event → (an empty line) at a border.
 */
export class EventScanner {
  /** Of the whole stream so far. */
  begun = 0;
  ended = 0;
  /** Of the last chunk: where events begin in it. */
  starts: number[] = [];
  /** Of the last chunk: the position behind the last event that ended in it, -1 when none did. */
  border = -1;
  #isInside = false;
  #atLineStart = true;
  #afterCr = false;

  /** `ended` events are behind the first byte. */
  constructor(ended = 0) {
    this.begun = ended;
    this.ended = ended;
  }

  scan(chunk: Buffer): void {
    this.starts = [];
    this.border = -1;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === lf && this.#afterCr) {
        // The second half of a CRLF belongs to the line that its first half ended.
        this.#afterCr = false;
        if (!this.#isInside) this.border = at + 1;
      } else if (byte === lf || byte === cr) {
        this.#afterCr = byte === cr;
        this.#endLine(at);
      } else {
        this.#afterCr = false;
        this.#atLineStart = false;
        if (!this.#isInside) this.#beginEvent(at);
      }
    }
  }

  #beginEvent(at: number): void {
    this.#isInside = true;
    this.begun += 1;
    this.starts.push(at);
  }

  #endLine(at: number): void {
    if (this.#atLineStart && this.#isInside) {
      this.#isInside = false;
      this.ended += 1;
    }
    this.#atLineStart = true;
    if (!this.#isInside) this.border = at + 1;
  }
}

/**
 * The chunk that was scanned last, with an `id: N` line before each event that begins in it. What is before the first
 * event with a number above `after` is left out.
 */
export function numberEvents(chunk: Buffer, scanner: EventScanner, after = 0): Buffer {
  const { starts, begun } = scanner;
  let number = begun - starts.length;
  // What an earlier chunk left open has its line already.
  let from = after === 0 || number > after ? 0 : -1;
  const pieces: Buffer[] = [];
  for (const start of starts) {
    number += 1;
    if (number <= after) continue;
    if (from !== -1 && start > from) pieces.push(chunk.subarray(from, start));
    pieces.push(Buffer.from(`id: ${number}\n`, "latin1"));
    from = start;
  }
  if (from !== -1) pieces.push(chunk.subarray(from));
  return Buffer.concat(pieces);
}
