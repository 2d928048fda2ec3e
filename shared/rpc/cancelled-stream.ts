import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { StreamTrailer } from "#shared/messages/outcome.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import { fromEnd } from "./frames.ts";

/** What the worker had to say of a stream that was cancelled after it had begun; undefined when it did not in time. */
export type Farewell = (trailer: StreamTrailer | undefined) => void;

const farewellMs = 500;

/** Waits for the trailer of a stream that the client has cancelled, and passes over what is still coming. */
export function awaitFarewell(channel: Channel, tell: Farewell): void {
  channel.owner = new CancelledStream(channel, tell);
}

class CancelledStream implements ChannelOwner {
  readonly #channel: Channel;
  readonly #tell: Farewell;
  readonly #timer: NodeJS.Timeout;

  constructor(channel: Channel, tell: Farewell) {
    this.#channel = channel;
    this.#tell = tell;
    this.#timer = setTimeout(() => this.#over(undefined), farewellMs);
  }

  frame(frame: Frame__Output): void {
    if (frame.end) this.#over(fromEnd(frame.end));
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

  #over(trailer: StreamTrailer | undefined): void {
    clearTimeout(this.#timer);
    this.#channel.close();
    this.#tell(trailer);
  }
}
