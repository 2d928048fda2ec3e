import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { errorEnvelope, GatewayError, type ErrorEnvelope } from "#shared/messages/error.ts";
import { encodeSseEvent } from "#shared/messages/sse.ts";
import type { Answer } from "../answer.ts";
import type { CallClock, Ticking } from "../call-clock.ts";
import { envelopeOf } from "../call/outcome-envelope.ts";
import { SseReply, type SseReplyOptions } from "../sse-reply.ts";
import type { StreamReply } from "../stream-reply.ts";
import { EventScanner, numberEvents } from "./event-scanner.ts";
import type { Recording, RecordingListener } from "./recording.ts";

export interface RecordedReplyOptions extends SseReplyOptions {
  readonly recording: Recording;
  readonly clock: CallClock;
  /** Somebody asked for the call to be cancelled. */
  readonly onCancelled: () => void;
}

/** A caller that has taken nothing for so long, while there was something to take, counts as gone. */
const stalledMs = 30_000;

/**
 * A streamed answer that is recorded, and goes to its caller with its events numbered while there is one. `onLeft` is
 * called only when nobody can read the answer any more: its caller is gone and so is the recording.
 *
 * States: attended → (the caller left) recorded only → ended; or attended → (the recording stopped) as any other
 * stream, but numbered → ended.
 */
export class RecordedReply implements StreamReply, RecordingListener, Ticking {
  readonly #response: ServerResponse;
  readonly #options: RecordedReplyOptions;
  readonly #recording: Recording;
  /** Undefined when the caller is gone. */
  #live: SseReply | undefined;
  readonly #scanner = new EventScanner();
  readonly #leaveClock: () => void;
  #isOver = false;
  /** Given to the caller's socket and not yet taken: as it came, and as it was written. */
  #owedBytes = 0;
  #writtenBytes = 0;
  #takenAt = 0;

  constructor(response: ServerResponse, options: RecordedReplyOptions) {
    this.#response = response;
    this.#options = options;
    this.#recording = options.recording;
    this.#recording.listener = this;
    this.#leaveClock = options.clock.add(this);
    this.#live = new SseReply(response, {
      turns: options.turns,
      callId: options.callId,
      onConsumed: (bytes) => this.#taken(bytes),
      onLeft: () => this.#left(),
    });
    // It left while the recording was begun.
    if (response.destroyed) this.#left();
  }

  get writtenAt(): number {
    return this.#live?.writtenAt ?? Infinity;
  }

  tick(now: number): void {
    if (this.#live && this.#owedBytes > 0 && now - this.#takenAt > stalledMs) this.#response.destroy();
  }

  answer(answer: Answer): void {
    this.#live?.answer(answer);
    this.#finishWith(envelopeOf(answer, this.#options.callId));
  }

  begin(status: number, headers: OutgoingHttpHeaders, now: number): void {
    headers["x-sluice-detach"] = "on";
    this.#live?.begin(status, headers, now);
  }

  comment(now: number): void {
    this.#live?.comment(now);
  }

  ping(now: number): void {
    this.#live?.ping(now);
  }

  write(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#scanner.scan(chunk);
    // Copied: a chunk is a view into a larger message, and an event may be long in becoming whole.
    this.#recording.write(Buffer.from(chunk), this.#scanner);
    if (this.#live) this.#show(chunk, this.#live);
    else this.#options.onConsumed(chunk.length);
  }

  end(): void {
    this.#over();
    this.#recording.finish("complete");
    this.#live?.end();
  }

  endBroken(): void {
    this.#over();
    this.#recording.finish("error");
    this.#live?.endBroken();
  }

  fail(envelope: ErrorEnvelope): void {
    this.#live?.fail(envelope, this.#scanner.ended + 1);
    this.#finishWith(envelope);
  }

  stopped(why: "full" | "lost"): void {
    if (why === "full") this.#recording.finish("error", encodeSseEvent("error", this.#full()));
    if (!this.#live) this.#abandon();
  }

  cancelled(): void {
    if (!this.#isOver) this.#options.onCancelled();
  }

  #show(chunk: Buffer, live: SseReply): void {
    const numbered = numberEvents(chunk, this.#scanner);
    if (this.#owedBytes === 0) this.#takenAt = Date.now();
    this.#owedBytes += chunk.length;
    this.#writtenBytes += numbered.length;
    live.write(numbered);
  }

  /** The sender's credit is for bytes as they came; more may be written by now than was taken. */
  #taken(written: number): void {
    const share = written >= this.#writtenBytes ? 1 : written / this.#writtenBytes;
    const bytes = Math.floor(this.#owedBytes * share);
    this.#owedBytes -= bytes;
    this.#writtenBytes -= Math.min(written, this.#writtenBytes);
    this.#takenAt = Date.now();
    this.#options.onConsumed(bytes);
  }

  #left(): void {
    if (this.#isOver) return;
    this.#live = undefined;
    if (!this.#recording.isOpen) return this.#abandon();
    const owed = this.#owedBytes;
    this.#owedBytes = 0;
    if (owed > 0) this.#options.onConsumed(owed);
  }

  #abandon(): void {
    if (this.#isOver) return;
    this.#over();
    this.#options.onLeft();
  }

  #finishWith(envelope: ErrorEnvelope): void {
    this.#over();
    this.#recording.finish("error", encodeSseEvent("error", envelope));
  }

  #over(): void {
    this.#isOver = true;
    this.#leaveClock();
  }

  #full(): ErrorEnvelope {
    const error = new GatewayError("internal", "The recording of this stream has reached its largest size.");
    return errorEnvelope(error, this.#options.callId);
  }
}
