import type { Attach__Output } from "#proto/worker/v1/Attach.ts";
import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { Open__Output } from "#proto/worker/v1/Open.ts";
import type { WorkerCall } from "#shared/messages/call.ts";
import type { HeldCall } from "./call-book.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import { fromOpen, toDrainFrame, toHeldFrame, toLoadFrame, toResetFrame, type OpenedCall } from "./frames.ts";
import { HeldAnswer, type ServedCallDeps } from "./held-answer.ts";
import { PendingBody } from "./pending-body.ts";
import { serveStream } from "./serve-stream.ts";
import type { Session } from "./session.ts";

const mostTombstones = 1024;

/** The worker's side of one session: takes calls from their frames, and answers who holds what. */
export class ServerSession {
  #session: Session;
  #deps: ServedCallDeps;
  #draining = false;
  #load = 0;
  #newest = 0;
  /** Numbers of calls that were cancelled before they were opened, oldest first. */
  #tombstones = new Set<number>();

  constructor(session: Session, deps: ServedCallDeps) {
    this.#session = session;
    this.#deps = deps;
  }

  /** A frame of a call that has no channel. */
  frame(frame: Frame__Output): void {
    const { call, open, attach, reset } = frame;
    if (call === 0) return;
    if (open) this.#takeOpen(call, open);
    else if (attach) this.#takeAttach(call, attach);
    else if (reset && isNewer(call, this.#newest)) this.#bury(call);
    // Anything else is a late frame of a call that is over here.
  }

  /** No more calls from now on. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#session.put(toDrainFrame());
  }

  /** Tells the client what the worker runs for others, if that has changed. */
  reportLoad(running: number): void {
    const load = Math.max(0, running - this.#session.size);
    if (load === this.#load) return;
    this.#load = load;
    this.#session.put(toLoadFrame(load));
  }

  #takeOpen(number: number, open: Open__Output): void {
    if (this.#isBuried(number)) return;
    const call = this.#readOpen(number, open);
    if (!call) return;
    const held = this.#deps.book.answers.get(call.head.id);
    if (held) return this.#giveTo(held, this.#session.openChannel(number, unowned), call.delivery);
    if (this.#draining) return this.#refuse(number);
    if ("key" in call.body) {
      this.#start(this.#session.openChannel(number, unowned), call, { key: call.body.key });
    } else if (call.body.length === 0) {
      this.#start(this.#session.openChannel(number, unowned), call, { bytes: Buffer.alloc(0) });
    } else {
      const pending = new PendingBody(call.body.length, this.#deps.book, (channel, bytes) => {
        this.#start(channel, call, { bytes });
      });
      pending.channel = this.#session.openChannel(number, pending);
    }
  }

  #readOpen(number: number, open: Open__Output): OpenedCall | undefined {
    try {
      return fromOpen(open);
    } catch (error) {
      this.#session.put(toResetFrame(number, "error", { message: "unreadable open" }));
      this.#deps.onFault(error, open.callId);
      return undefined;
    }
  }

  #start(channel: Channel, opened: OpenedCall, body: WorkerCall["body"]): void {
    const { head, delivery, sentBefore } = opened;
    const call: WorkerCall = { head, body, delivery, ...(sentBefore ? { sentBefore } : {}) };
    if (head.stream) return serveStream(channel, call, this.#deps);
    // Two openers may have sent their bodies at the same time.
    const twin = this.#deps.book.answers.get(head.id);
    if (twin) this.#giveTo(twin, channel, delivery);
    else new HeldAnswer(opened, this.#deps).run(call, channel);
  }

  #takeAttach(number: number, { callId, delivery }: Attach__Output): void {
    if (this.#isBuried(number)) return;
    const held = this.#deps.book.answers.get(callId);
    const takes = held !== undefined && delivery >= held.delivery;
    if (takes || !held) this.#session.put(toHeldFrame(number, takes));
    if (held) this.#giveTo(held, this.#session.openChannel(number, unowned), delivery);
  }

  /** The highest delivery has the call; of two equal ones the later, whose opener knows more. */
  #giveTo(held: HeldCall, channel: Channel, delivery: number): void {
    if (delivery >= held.delivery) return held.takeOver(channel, delivery);
    channel.put(toResetFrame(channel.number, "superseded"));
    channel.close();
  }

  #refuse(number: number): void {
    this.#session.put(toResetFrame(number, "refused"));
  }

  #bury(number: number): void {
    this.#tombstones.add(number);
    if (this.#tombstones.size <= mostTombstones) return;
    for (const oldest of this.#tombstones) {
      this.#tombstones.delete(oldest);
      return;
    }
  }

  #isBuried(number: number): boolean {
    if (isNewer(number, this.#newest)) this.#newest = number;
    return this.#tombstones.delete(number);
  }
}

/** Call numbers rise and start again at 1 after 2^32. */
function isNewer(number: number, than: number): boolean {
  return ((number - than) | 0) > 0;
}

const unowned: ChannelOwner = {
  frame: () => undefined,
  data: () => undefined,
  room: () => undefined,
  finished: () => undefined,
  broken: () => undefined,
};
