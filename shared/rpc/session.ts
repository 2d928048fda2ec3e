import type { Frame, Frame__Output } from "#proto/worker/v1/Frame.ts";
import { Channel, type ChannelOwner, type FrameOutlet } from "./channel.ts";
import {
  encodeMessage,
  queueControl,
  queueCredit,
  queueData,
  readMessage,
  type FrameSink,
  type QueuedFrame,
} from "./frame-codec.ts";
import { toResetFrame } from "./frames.ts";
import { PassingMap } from "#shared/runtime/passing.ts";

/** The gRPC stream under a session, reduced to what a session does with it. */
export interface SessionPipe {
  /** False: no more until `Session.drained` is called. */
  write(message: Buffer): boolean;
}

export interface SessionListener {
  /** A frame of call 0, or of a call that this side does not know. */
  frame(frame: Frame__Output): void;
  /** The last open channel has been closed. */
  idle(): void;
  /** A channel's owner threw; its call was reset and hears `broken`, the session goes on. */
  fault(error: unknown): void;
}

const maxMessageBytes = 256 * 1024;
/** How long a frame that nobody waits for is kept for a message that leaves anyway. */
const laterMs = 20;

/**
 * Many calls over one stream. All frames of one turn of the event loop leave in one message of at most 256 KiB, in the
 * order they were put; only credit goes ahead. `setImmediate` and not a microtask: at 500 paced streams a turn collects
 * five frames, a microtask 1.35, and the price is per message.
 *
 * States: open → broken. Whoever owns the stream calls `receive`, `drained` and `break`.
 */
export class Session implements FrameOutlet, FrameSink {
  readonly receiveWindow: number;
  /** What the peer's `hello` allowed; set before the first channel is opened. */
  sendWindow = 0;
  #pipe: SessionPipe;
  #listener: SessionListener;
  #channels = new PassingMap<number, Channel>();
  #queue: QueuedFrame[] = [];
  #credits: QueuedFrame[] = [];
  #due = false;
  #laterTimer: NodeJS.Timeout | undefined;
  #blocked = false;
  #broken = false;

  constructor(pipe: SessionPipe, listener: SessionListener, receiveWindow: number) {
    this.#pipe = pipe;
    this.#listener = listener;
    this.receiveWindow = receiveWindow;
  }

  /** Calls that are open on this session. */
  get size(): number {
    return this.#channels.size;
  }

  get broken(): boolean {
    return this.#broken;
  }

  has(call: number): boolean {
    return this.#channels.has(call);
  }

  /** On a session that is broken already the owner is told so in the next microtask. */
  openChannel(call: number, owner: ChannelOwner): Channel {
    const windows = { send: this.sendWindow, receive: this.receiveWindow };
    const channel = new Channel(call, owner, { outlet: this, windows });
    if (this.#broken) {
      channel.close();
      queueMicrotask(() => owner.broken());
    } else {
      this.#channels.set(call, channel);
    }
    return channel;
  }

  put(frame: Frame): void {
    if (this.#broken) return;
    this.#queue.push(queueControl(frame));
    this.#schedule();
  }

  putLater(frame: Frame): void {
    if (this.#broken) return;
    this.#queue.push(queueControl(frame));
    if (!this.#due) this.#laterTimer ??= setTimeout(() => this.flush(), laterMs);
  }

  putData(call: number, bytes: Buffer): void {
    if (this.#broken) return;
    this.#queue.push(queueData(call, bytes));
    this.#schedule();
  }

  putCredit(call: number, bytes: number): void {
    if (this.#broken) return;
    this.#credits.push(queueCredit(call, bytes));
    this.#schedule();
  }

  release(call: number): void {
    if (!this.#channels.delete(call) || this.#channels.size > 0 || this.#broken) return;
    this.#listener.idle();
  }

  /** Throws RangeError on bytes that are no message; the session is to be broken then. */
  receive(message: Buffer): void {
    if (!this.#broken) readMessage(message, this);
  }

  /** The pipe takes messages again. */
  drained(): void {
    this.#blocked = false;
    this.flush();
  }

  /** Writes what is waiting now instead of at the end of the turn. */
  flush(): void {
    this.#due = false;
    clearTimeout(this.#laterTimer);
    this.#laterTimer = undefined;
    if (this.#broken || this.#blocked) return;
    if (this.#credits.length > 0) {
      this.#queue = this.#queue.length > 0 ? [...this.#credits, ...this.#queue] : this.#credits;
      this.#credits = [];
    }
    let first = 0;
    while (!this.#blocked && first < this.#queue.length) {
      const count = this.#countForMessage(first);
      const message = encodeMessage(this.#queue, first, count);
      first += count;
      this.#blocked = !this.#pipe.write(message);
    }
    if (first === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, first);
  }

  /** The stream is gone: every owner hears `broken`, nothing is sent or received any more. */
  break(): void {
    if (this.#broken) return;
    this.#broken = true;
    clearTimeout(this.#laterTimer);
    this.#queue = [];
    this.#credits = [];
    const channels = Array.from(this.#channels, ([, channel]) => channel);
    this.#channels.clear();
    for (const channel of channels) {
      channel.close();
      this.#tellBroken(channel);
    }
  }

  data(call: number, bytes: Buffer): void {
    const channel = this.#channels.get(call);
    if (!channel) return;
    try {
      channel.owner.data(bytes);
    } catch (error) {
      this.#fault(channel, error);
    }
  }

  credit(call: number, bytes: number): void {
    const channel = this.#channels.get(call);
    if (channel) this.#guard(channel, () => channel.granted(bytes));
  }

  control(frame: Frame__Output): void {
    const channel = this.#channels.get(frame.call);
    if (channel) this.#guard(channel, () => channel.owner.frame(frame));
    else this.#listener.frame(frame);
  }

  #schedule(): void {
    if (this.#due || this.#blocked) return;
    this.#due = true;
    setImmediate(this.#flushTurn);
  }

  #flushTurn = (): void => {
    if (this.#due) this.flush();
  };

  /** How many frames from `first` on fit into a message; at least one, however large. */
  #countForMessage(first: number): number {
    let size = this.#queue[first]?.size ?? 0;
    let next = first + 1;
    while (next < this.#queue.length) {
      size += this.#queue[next]?.size ?? 0;
      if (size > maxMessageBytes) break;
      next++;
    }
    return next - first;
  }

  #guard(channel: Channel, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fault(channel, error);
    }
  }

  #fault(channel: Channel, error: unknown): void {
    channel.put(toResetFrame(channel.number, "error", { message: "internal fault" }));
    channel.close();
    this.#listener.fault(error);
    this.#tellBroken(channel);
  }

  #tellBroken(channel: Channel): void {
    try {
      channel.owner.broken();
    } catch (error) {
      this.#listener.fault(error);
    }
  }
}
