import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import { BodyGatherer } from "./body-gatherer.ts";
import type { CallBook } from "./call-book.ts";
import type { Channel, ChannelOwner } from "./channel.ts";

/** A call whose body is still arriving: it has not begun, and ends without a trace when its opener goes. */
export class PendingBody implements ChannelOwner {
  channel: Channel | undefined;
  #body: BodyGatherer;
  #book: CallBook;
  #complete: (channel: Channel, body: Buffer) => void;

  /** `complete` takes the channel over. */
  constructor(length: number, book: CallBook, complete: (channel: Channel, body: Buffer) => void) {
    this.#body = new BodyGatherer(length);
    this.#book = book;
    this.#complete = complete;
    book.started();
  }

  frame(frame: Frame__Output): void {
    if (!frame.reset) return;
    this.channel?.close();
    this.#book.ended();
  }

  data(bytes: Buffer): void {
    const channel = this.channel;
    if (!channel) return;
    this.#body.push(bytes);
    channel.consumed(bytes.length);
    if (!this.#body.complete) return;
    this.#complete(channel, this.#body.bytes);
    this.#book.ended();
  }

  room(): void {
    // Nothing is sent while the body arrives.
  }

  finished(): void {
    // Nothing is sent while the body arrives.
  }

  broken(): void {
    this.#book.ended();
  }
}
