import type { SentNote, WorkerCall } from "#shared/messages/call.ts";
import type { AnswerHead, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";

/** What a worker does with the calls it is given. */
export interface CallHandler {
  /**
   * Whole answers and counts. Does not reject for upstream faults; a rejection becomes an outcome by its code,
   * `internal` for strangers.
   */
  invoke(call: WorkerCall, context: CallContext): Promise<Outcome>;
  /** Resolves once it has given `sink` an outcome, or a head and an end. */
  stream(call: WorkerCall, sink: StreamSink, context: CallContext): Promise<void>;
}

export interface CallContext {
  /** Aborts when nobody waits for the answer any more; what the handler gives after that goes nowhere. */
  readonly signal: AbortSignal;
  /** To be said at the moment a provider is asked. */
  sent(note: SentNote): void;
}

/** Where a streamed answer goes. */
export interface StreamSink {
  /** In place of everything else. */
  outcome(outcome: Outcome): void;
  head(head: AnswerHead): void;
  /** Takes the chunk in any case and keeps it unchanged until it is sent. False: wait for `onDrain` with the next. */
  write(chunk: Buffer): boolean;
  onDrain: (() => void) | undefined;
  end(trailer: StreamTrailer): void;
}
