import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import type { Channel, ChannelOwner } from "./channel.ts";

/** What the worker had to say of a stream that was cancelled after it had begun; undefined when it did not in time. */
export type Farewell = (trailer: StreamTrailer | undefined) => void;

/** The same of a whole answer or a count; the outcome comes without its body. */
export type AnswerFarewell = (outcome: Outcome | undefined) => void;

const farewellMs = 500;

/**
 * Waits for the last word on a call that the client has cancelled, by which `read` knows the frame, and passes over what
 * else is still coming.
 */
export function awaitFarewell<Last>(
  channel: Channel,
  read: (frame: Frame__Output) => Last | undefined,
  tell: (last: Last | undefined) => void,
): void {
  channel.discard();
  channel.owner = new CancelledCall(channel, read, tell);
}

class CancelledCall<Last> implements ChannelOwner {
  readonly #channel: Channel;
  readonly #read: (frame: Frame__Output) => Last | undefined;
  readonly #tell: (last: Last | undefined) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(
    channel: Channel,
    read: (frame: Frame__Output) => Last | undefined,
    tell: (last: Last | undefined) => void,
  ) {
    this.#channel = channel;
    this.#read = read;
    this.#tell = tell;
    this.#timer = setTimeout(() => this.#over(undefined), farewellMs);
  }

  frame(frame: Frame__Output): void {
    const last = this.#read(frame);
    if (last !== undefined) this.#over(last);
    else if (frame.reset) this.#over(undefined);
  }

  data(): void {
    // Nobody reads it.
  }

  room(): void {
    // Nothing is sent.
  }

  finished(): void {
    // Nothing is sent.
  }

  broken(): void {
    this.#over(undefined);
  }

  #over(last: Last | undefined): void {
    clearTimeout(this.#timer);
    this.#channel.close();
    this.#tell(last);
  }
}
