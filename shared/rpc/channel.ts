import type { Frame, Frame__Output } from "#proto/worker/v1/Frame.ts";
import { maxDataBytes } from "./frames.ts";

/** Who is told what the other side sends on a channel. Nothing is told after `Channel.close()`. */
export interface ChannelOwner {
  frame(frame: Frame__Output): void;
  /** A view into the message it came in: copy what is small and kept. Give it back with `consumed`. */
  data(bytes: Buffer): void;
  /** There is credit again after `send` returned false. */
  room(): void;
  /** All that was sent before `finish` is out, and the channel closed. */
  finished(): void;
  /** The session is gone, and the channel with it. */
  broken(): void;
}

/** What a channel needs of its session. */
export interface FrameOutlet {
  put(frame: Frame): void;
  /** With whatever is put next, or a moment later: a message of its own wakes the other side. */
  putLater(frame: Frame): void;
  putData(call: number, bytes: Buffer): void;
  putCredit(call: number, bytes: number): void;
  release(call: number): void;
}

export interface ChannelWindows {
  /** What we may send before the other side gives credit. */
  readonly send: number;
  /** What we let the other side send; given back by halves. */
  readonly receive: number;
}

/**
 * One call on one session, seen from one side. The credit of the call lives here, for both directions: what `send`
 * cannot pass on waits in the channel, so a reader that stands still holds up its own call only.
 *
 * States: open → finishing (bytes wait for credit, then the last frame goes) → closed.
 */
export class Channel {
  readonly number: number;
  /** Whoever the call belongs to now; a call may change hands. */
  owner: ChannelOwner;
  #outlet: FrameOutlet;
  #credit: number;
  #grantAt: number;
  #eaten = 0;
  #waiting: Buffer[] = [];
  #starved = false;
  #finishing = false;
  #last: Frame | undefined;
  #open = true;

  constructor(number: number, owner: ChannelOwner, deps: { outlet: FrameOutlet; windows: ChannelWindows }) {
    this.number = number;
    this.owner = owner;
    this.#outlet = deps.outlet;
    this.#credit = deps.windows.send;
    this.#grantAt = Math.ceil(deps.windows.receive / 2);
  }

  get open(): boolean {
    return this.#open;
  }

  put(frame: Frame): void {
    if (this.#open) this.#outlet.put(frame);
  }

  /** Nobody waits for this frame, with which the call ends. */
  closeWith(frame: Frame): void {
    if (this.#open) this.#outlet.putLater(frame);
    this.close();
  }

  /** Takes all of `bytes` and keeps them unchanged until they are sent. False: wait for `room` before sending more. */
  send(bytes: Buffer): boolean {
    if (!this.#open || this.#finishing) return false;
    if (this.#waiting.length > 0) this.#waiting.push(bytes);
    else this.#pass(bytes);
    this.#starved = this.#credit <= 0;
    return !this.#starved;
  }

  /** Closes the channel once all bytes are out, with `last` behind them. */
  finish(last?: Frame): void {
    if (!this.#open || this.#finishing) return;
    this.#finishing = true;
    this.#last = last;
    if (this.#waiting.length === 0) this.#conclude();
  }

  /** Throws away what waits for credit; what comes after the last byte goes at once. */
  discard(): void {
    this.#waiting = [];
    if (this.#open && this.#finishing) this.#conclude();
  }

  /** The owner has passed on `bytes` of what `data` told it. */
  consumed(bytes: number): void {
    if (!this.#open) return;
    this.#eaten += bytes;
    if (this.#eaten < this.#grantAt) return;
    this.#outlet.putCredit(this.number, this.#eaten);
    this.#eaten = 0;
  }

  /** Credit came from the other side. */
  granted(bytes: number): void {
    if (!this.#open) return;
    this.#credit += bytes;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < waiting.length; i++) {
      const chunk = waiting[i];
      if (chunk && this.#credit > 0) this.#pass(chunk);
      else if (chunk) this.#waiting.push(chunk);
    }
    if (this.#waiting.length > 0) return;
    if (this.#finishing) return this.#conclude();
    if (!this.#starved || this.#credit <= 0) return;
    this.#starved = false;
    this.owner.room();
  }

  /** Forgets the call: later frames of it are dropped, and what waits is not sent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#waiting = [];
    this.#outlet.release(this.number);
  }

  #pass(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && this.#credit > 0) {
      const end = Math.min(bytes.length, at + maxDataBytes, at + this.#credit);
      this.#outlet.putData(this.number, at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
      this.#credit -= end - at;
      at = end;
    }
    if (at < bytes.length) this.#waiting.push(at === 0 ? bytes : bytes.subarray(at));
  }

  #conclude(): void {
    if (this.#last) this.#outlet.put(this.#last);
    this.close();
    this.owner.finished();
  }
}
