import type { GatewayError } from "#shared/messages/error.ts";
import type { AttemptReason, StreamTrailer } from "#shared/messages/outcome.ts";
import type { Usage } from "#shared/messages/usage.ts";
import type { Failure, MessagesAnswer, UpstreamHead } from "../adapters/adapter.ts";

/** An upstream answer with all its bytes. */
export interface UpstreamAnswer {
  readonly head: UpstreamHead;
  readonly body: Buffer;
}

/** How one attempt ended; what the engine decides on. */
export interface AttemptEnd {
  readonly reason: AttemptReason;
  /** Whether a byte may have reached the provider. */
  readonly sent: boolean;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly statusAt?: number;
  readonly status?: number;
  readonly detail?: string;
  readonly upstreamRequestId?: string;
  /** The upstream's headers, whatever became of the body. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The whole answer, when there was one: a success, or an error that may be passed on. */
  readonly response?: UpstreamAnswer;
  readonly failure?: Failure;
  /** Nothing was sent: the target's wire cannot say what the caller asks. */
  readonly refusal?: GatewayError;
  /** A successful whole answer, decoded. */
  readonly answer?: MessagesAnswer;
  /** Set when bytes of a stream went to the caller: nothing may be tried again. */
  readonly begun?: BegunStream;
}

export interface BegunStream {
  readonly end: StreamTrailer["end"];
  readonly usage?: Usage;
  readonly containerId?: string;
}
