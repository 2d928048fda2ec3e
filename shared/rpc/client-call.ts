import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { SentNote, WorkerCall } from "#shared/messages/call.ts";
import type { AnswerHead, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import { awaitFarewell, type AnswerFarewell, type Farewell } from "./await-farewell.ts";
import { BodyGatherer } from "./body-gatherer.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import {
  fromEnd,
  fromHead,
  fromOutcome,
  fromResetReason,
  fromSent,
  toAttachFrame,
  toOpenFrame,
  toReceivedFrame,
  toResetFrame,
} from "./frames.ts";
import type { Session } from "./session.ts";

/** Who is told how one call on one session goes on. Nothing is told after `over` or `ClientCall.cancel()`. */
export interface ClientCallListener {
  /** The answer to `attach`. */
  held?(held: boolean): void;
  /** A provider is being asked. */
  sent?: ((note: SentNote) => void) | undefined;
  head?(head: AnswerHead): void;
  data?(chunk: Buffer): void;
  end?(trailer: StreamTrailer): void;
  over(result: CallResult): void;
}

/** How one call on one session ended for its opener. */
export type CallResult =
  /** The worker holds an outcome of a `keepOrphan` call until `release` is called or the session ends. */
  | { readonly kind: "outcome"; readonly outcome: Outcome; readonly release?: () => void }
  /** A stream came to its end; the listener has its trailer. */
  | { readonly kind: "ended" }
  /** `attach`: this worker does not hold the call. */
  | { readonly kind: "unknown" }
  | { readonly kind: "superseded" }
  /** The worker is leaving and has not taken the call. */
  | { readonly kind: "refused" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "lost"; readonly sent: SentNote | undefined; readonly begun: boolean };

/** The client's side of one call on one session. */
export class ClientCall implements ChannelOwner {
  #channel: Channel;
  #listener: ClientCallListener;
  #sent: SentNote | undefined;
  #begun = false;
  #acknowledge = true;
  #outcome: { facts: Buffer; body: BodyGatherer } | undefined;
  /** The outcome has been told; what is left is to release it. */
  #told = false;

  private constructor(session: Session, number: number, listener: ClientCallListener) {
    this.#listener = listener;
    this.#channel = session.openChannel(number, this);
  }

  static open(target: CallTarget, request: OpenRequest, listener: ClientCallListener): ClientCall {
    const { call, keepOrphan } = request;
    const opened = new ClientCall(target.session, target.number, listener);
    opened.#acknowledge = keepOrphan;
    opened.#channel.put(toOpenFrame(target.number, call, keepOrphan));
    if ("bytes" in call.body && call.body.bytes.length > 0) opened.#channel.send(call.body.bytes);
    return opened;
  }

  static attach(target: CallTarget, request: AttachRequest, listener: ClientCallListener): ClientCall {
    const attached = new ClientCall(target.session, target.number, listener);
    attached.#channel.put(toAttachFrame(target.number, request.callId, request.delivery));
    return attached;
  }

  consumed(bytes: number): void {
    this.#channel.consumed(bytes);
  }

  /** Tells the worker that nobody waits any longer. A stream that has begun has a farewell, which is told once. */
  cancel(farewell?: Farewell): void {
    const channel = this.#channel;
    channel.put(toResetFrame(channel.number, "cancelled"));
    if (farewell && this.#begun && channel.open) {
      awaitFarewell(channel, ({ end }) => (end ? fromEnd(end) : undefined), farewell);
      return;
    }
    channel.close();
    farewell?.(undefined);
  }

  /** As `cancel`, of a whole answer or a count; tells once what the worker knows of it, the body left out. */
  leave(farewell: AnswerFarewell): void {
    const channel = this.#channel;
    channel.put(toResetFrame(channel.number, "cancelled"));
    if (channel.open && !this.#outcome)
      return awaitFarewell(channel, ({ outcome }) => (outcome ? bodiless(outcome.facts) : undefined), farewell);
    channel.close();
    farewell(this.#outcome && bodiless(this.#outcome.facts));
  }

  frame(frame: Frame__Output): void {
    if (this.#told) {
      // Somebody else took the call over meanwhile: it is theirs to release.
      if (frame.reset) this.#channel.close();
    } else if (frame.sent) this.#noteSent(fromSent(frame.sent));
    else if (frame.head) this.#begin(frame.head);
    else if (frame.outcome) this.#startOutcome(frame.outcome.facts, frame.outcome.bodyLength);
    else if (frame.end) this.#end(frame.end);
    else if (frame.held) this.#answerHeld(frame.held.held);
    else if (frame.reset) this.#close(this.#resultOfReset(frame));
  }

  data(bytes: Buffer): void {
    if (this.#begun) {
      this.#listener.data?.(bytes);
    } else if (this.#outcome) {
      this.#outcome.body.push(bytes);
      this.#channel.consumed(bytes.length);
      this.#endOutcome();
    }
  }

  room(): void {
    // The body waits in the channel, and nothing comes after it.
  }

  finished(): void {
    // The client never says that it has finished: the worker's answer ends the call.
  }

  broken(): void {
    if (!this.#told) this.#listener.over({ kind: "lost", sent: this.#sent, begun: this.#begun });
  }

  #noteSent(note: SentNote): void {
    this.#sent = note;
    this.#listener.sent?.(note);
  }

  #begin(head: Buffer): void {
    this.#begun = true;
    this.#listener.head?.(fromHead(head));
  }

  #end(trailer: Buffer): void {
    this.#channel.close();
    this.#listener.end?.(fromEnd(trailer));
    this.#listener.over({ kind: "ended" });
  }

  #answerHeld(held: boolean): void {
    this.#listener.held?.(held);
    if (!held) this.#close({ kind: "unknown" });
  }

  #startOutcome(facts: Buffer, bodyLength: number): void {
    this.#outcome = { facts: Buffer.from(facts), body: new BodyGatherer(bodyLength) };
    this.#endOutcome();
  }

  #endOutcome(): void {
    if (!this.#outcome?.body.complete) return;
    const outcome = fromOutcome(this.#outcome.facts, this.#outcome.body.bytes);
    if (!this.#acknowledge) return this.#close({ kind: "outcome", outcome });
    this.#told = true;
    this.#listener.over({ kind: "outcome", outcome, release: () => this.#release() });
  }

  #release(): void {
    this.#channel.closeWith(toReceivedFrame(this.#channel.number));
  }

  #resultOfReset(frame: Frame__Output): CallResult {
    const reset = frame.reset;
    const reason = reset ? fromResetReason(reset.reason) : "error";
    if (reason === "superseded" || reason === "refused") return { kind: reason };
    return { kind: "failed", message: reset?.message ?? "" };
  }

  #close(result: CallResult): void {
    this.#channel.close();
    this.#listener.over(result);
  }
}

function bodiless(facts: Buffer): Outcome {
  return fromOutcome(facts, Buffer.alloc(0));
}

/** The session a call goes to and its number there. */
export interface CallTarget {
  readonly session: Session;
  readonly number: number;
}

export interface OpenRequest {
  readonly call: WorkerCall;
  /** The worker keeps the call for a while when the session is lost. */
  readonly keepOrphan: boolean;
}

export interface AttachRequest {
  readonly callId: string;
  readonly delivery: number;
}
