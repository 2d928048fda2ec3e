import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { SentNote, WorkerCall } from "#shared/messages/call.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { AnswerHead, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import type { CallContext, StreamSink, StreamSource } from "./call-handler.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import { errorOutcome } from "./error-outcome.ts";
import { toEndFrame, toHeadFrame, toOutcomeFrame, toSentFrame } from "./frames.ts";
import type { ServedCallDeps } from "./held-answer.ts";

/** Runs the handler for a streamed call; its answer goes to `channel`. */
export function serveStream(channel: Channel, call: WorkerCall, deps: ServedCallDeps): void {
  channel.owner = new ServedStream(channel, call, deps);
}

/**
 * A streamed call at the worker. Nobody else can take it over, and it does not outlive its session.
 *
 * States: open (nothing streamed) → begun (head is out) → ended; cancelled from any, and then only the trailer of a
 * stream that had begun leaves. It counts as running until its last byte has left, however slow the reader.
 */
class ServedStream implements ChannelOwner, StreamSink {
  source: StreamSource | undefined;
  #id: string;
  #deps: ServedCallDeps;
  #channel: Channel;
  #state: "open" | "begun" | "ended" | "cancelled" = "open";
  #abort = new AbortController();
  #flushed = Promise.withResolvers<void>();

  constructor(channel: Channel, call: WorkerCall, deps: ServedCallDeps) {
    this.#id = call.head.id;
    this.#channel = channel;
    this.#deps = deps;
    deps.book.started();
    // Not at once: the handler may write before the channel knows its owner.
    queueMicrotask(() => void this.#run(call));
  }

  outcome(outcome: Outcome): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#channel.put(toOutcomeFrame(this.#channel.number, outcome));
    if (outcome.body.length > 0) this.#channel.send(outcome.body);
    this.#channel.finish();
  }

  head(head: AnswerHead): void {
    if (this.#state !== "open") return;
    this.#state = "begun";
    this.#channel.put(toHeadFrame(this.#channel.number, head));
  }

  write(chunk: Buffer): boolean {
    return this.#state === "begun" && this.#channel.send(chunk);
  }

  end(trailer: StreamTrailer): void {
    if (this.#state === "begun") this.#state = "ended";
    else if (this.#state !== "cancelled") return;
    this.#channel.finish(toEndFrame(this.#channel.number, trailer));
  }

  frame(frame: Frame__Output): void {
    if (!frame.reset) return;
    if (this.#state === "open") this.#channel.close();
    else this.#channel.discard();
    this.#cancel();
  }

  data(): void {
    // The body is here already.
  }

  room(): void {
    this.source?.resume();
  }

  finished(): void {
    this.#flushed.resolve();
  }

  broken(): void {
    this.#cancel();
  }

  #cancel(): void {
    this.#flushed.resolve();
    if (this.#state === "cancelled") return;
    this.#state = "cancelled";
    this.#abort.abort(new GatewayError("cancelled", "The caller is gone."));
  }

  async #run(call: WorkerCall): Promise<void> {
    const context: CallContext = { signal: this.#abort.signal, sent: (note) => this.#noteSent(note) };
    try {
      await this.#deps.handler.stream(call, this, context);
      // Made only when it is needed: an error's stack costs 4 % of a worker's CPU per stream.
      if (this.#state === "open" || this.#state === "begun")
        this.#conclude(new GatewayError("internal", "Internal gateway error."));
    } catch (reason) {
      if (this.#state !== "cancelled") this.#deps.onFault(reason, this.#id);
      this.#conclude(reason);
    }
    // A cancelled stream without a farewell.
    if (this.#state === "cancelled") this.#channel.close();
    await this.#flushed.promise;
    this.#deps.book.ended();
  }

  #noteSent(note: SentNote): void {
    this.#channel.put(toSentFrame(this.#channel.number, note));
  }

  /** Gives the stream the end that its handler has not given it. */
  #conclude(reason: unknown): void {
    if (this.#state === "open") this.outcome(errorOutcome(reason, this.#id));
    else if (this.#state === "begun") this.end({ ...cutTrailer, code: toGatewayError(reason).code });
  }
}

const cutTrailer = { end: "cut", attempts: [], waits: [], notes: [] } as const;
