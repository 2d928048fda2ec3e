import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { SentNote, WorkerCall } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { CallBook, HeldCall } from "./call-book.ts";
import type { CallHandler } from "./call-handler.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import { errorOutcome } from "./error-outcome.ts";
import { toOutcomeFrame, toResetFrame, toSentFrame, type OpenedCall } from "./frames.ts";

/** What the calls of a worker need, streams included. */
export interface ServedCallDeps {
  readonly handler: CallHandler;
  readonly book: CallBook;
  readonly orphanMs: number;
  /** A handler threw, or frames made no sense. */
  readonly onFault: (error: unknown, callId: string) => void;
}

/**
 * A whole answer or a count at the worker, from its open frame until its outcome has arrived.
 *
 * States: running → answered (the outcome is on its way) → over. Cancelled while it runs it is over at once, and its
 * outcome goes to whoever cancelled it, without the body. In the first two it may be an orphan: without a
 * channel after its session broke, until somebody attaches or `orphanMs` have passed.
 */
export class HeldAnswer implements HeldCall, ChannelOwner {
  readonly id: string;
  #call: OpenedCall;
  #deps: ServedCallDeps;
  #delivery: number;
  #channel: Channel | undefined;
  #abort = new AbortController();
  #sent: SentNote | undefined;
  #outcome: Outcome | undefined;
  #orphaned: NodeJS.Timeout | undefined;
  #over = false;

  constructor(call: OpenedCall, deps: ServedCallDeps) {
    this.id = call.head.id;
    this.#call = call;
    this.#delivery = call.delivery;
    this.#deps = deps;
    deps.book.answers.set(this.id, this);
  }

  get delivery(): number {
    return this.#delivery;
  }

  /** Starts the handler. */
  run(call: WorkerCall, channel: Channel): void {
    this.#channel = channel;
    channel.owner = this;
    const context = { signal: this.#abort.signal, sent: (note: SentNote) => this.#noteSent(note) };
    this.#deps.book.started();
    void this.#answer(call, context);
  }

  takeOver(channel: Channel, delivery: number): void {
    this.#adopted();
    this.#delivery = delivery;
    const former = this.#channel;
    former?.put(toResetFrame(former.number, "superseded", { asked: this.#sent !== undefined }));
    former?.close();
    this.#channel = channel;
    channel.owner = this;
    if (this.#sent) channel.put(toSentFrame(channel.number, this.#sent));
    if (this.#outcome) this.#deliver(this.#outcome);
  }

  drop(): void {
    this.#channel?.close();
    this.#leave();
  }

  frame(frame: Frame__Output): void {
    if (frame.received) {
      this.#channel?.close();
      this.#forget();
    } else if (frame.reset) {
      this.#leave();
    }
  }

  data(): void {
    // A body sent along with a second open of a call that runs already.
  }

  room(): void {
    // What is left of the outcome goes by itself.
  }

  finished(): void {
    this.#forget();
  }

  broken(): void {
    this.#channel = undefined;
    if (this.#over) return;
    if (!this.#call.keepOrphan) return this.drop();
    this.#orphaned = setTimeout(() => this.drop(), this.#deps.orphanMs);
    this.#orphaned.unref();
    metrics.orphans.inc();
  }

  #leave(): void {
    if (this.#over) return;
    // What was answered has been told already.
    if (this.#outcome) this.#channel?.close();
    this.#forget();
    this.#abort.abort(new GatewayError("cancelled", "The caller is gone."));
  }

  #adopted(): void {
    if (this.#orphaned === undefined) return;
    clearTimeout(this.#orphaned);
    this.#orphaned = undefined;
    metrics.orphans.dec();
  }

  async #answer(call: WorkerCall, context: { signal: AbortSignal; sent(note: SentNote): void }): Promise<void> {
    try {
      this.#answered(await this.#deps.handler.invoke(call, context));
    } catch (reason) {
      if (!context.signal.aborted) this.#deps.onFault(reason, this.id);
      this.#answered(errorOutcome(reason, this.id));
    } finally {
      this.#deps.book.ended();
    }
  }

  #noteSent(note: SentNote): void {
    if (this.#over) return;
    this.#sent = note;
    this.#channel?.put(toSentFrame(this.#channel.number, note));
  }

  #answered(outcome: Outcome): void {
    if (this.#over) return this.#sayFarewell(outcome);
    this.#outcome = outcome;
    this.#deps.book.undelivered(1);
    this.#deliver(outcome);
  }

  #sayFarewell(outcome: Outcome): void {
    const channel = this.#channel;
    channel?.put(toOutcomeFrame(channel.number, { ...outcome, body: Buffer.alloc(0) }));
    channel?.close();
  }

  #deliver(outcome: Outcome): void {
    const channel = this.#channel;
    if (!channel) return;
    channel.put(toOutcomeFrame(channel.number, outcome));
    if (outcome.body.length > 0) channel.send(outcome.body);
    // With `keepOrphan` it is held until the other side says that it has arrived.
    if (!this.#call.keepOrphan) channel.finish();
  }

  #forget(): void {
    if (this.#over) return;
    this.#over = true;
    this.#adopted();
    if (this.#outcome) this.#deps.book.undelivered(-1);
    this.#outcome = undefined;
    if (this.#deps.book.answers.get(this.id) === this) this.#deps.book.answers.delete(this.id);
  }
}
