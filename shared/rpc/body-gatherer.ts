/**
 * Puts the `data` frames of one body together. The result never keeps a large message alive for a small body: bytes
 * that fill most of their message are kept as they are, others are copied.
 */
export class BodyGatherer {
  readonly length: number;
  #bytes: Buffer | undefined;
  #at = 0;

  constructor(length: number) {
    this.length = length;
  }

  get complete(): boolean {
    return this.#at === this.length;
  }

  /** The whole body; empty until `complete`. */
  get bytes(): Buffer {
    return this.complete && this.#bytes ? this.#bytes : Buffer.alloc(0);
  }

  /** Throws RangeError when there are more bytes than were announced. */
  push(chunk: Buffer): void {
    if (this.#at + chunk.length > this.length) throw new RangeError("more bytes than announced");
    if (chunk.length === this.length && chunk.length * 2 >= chunk.buffer.byteLength) {
      this.#bytes = chunk;
    } else {
      this.#bytes ??= Buffer.allocUnsafe(this.length);
      chunk.copy(this.#bytes, this.#at);
    }
    this.#at += chunk.length;
  }
}
