import type { ForwardedHeaders, Operation, SpliceRanges } from "#shared/messages/call.ts";
import type { NativeStep } from "#shared/messages/native-batch.ts";
import type { AttemptReason } from "#shared/messages/outcome.ts";
import type { Usage } from "#shared/messages/usage.ts";

/** A call as an adapter sees it; values only. */
export interface ProviderCall {
  readonly operation: Operation;
  readonly stream: boolean;
  /** The model as it is written in the body. */
  readonly askedModel: string;
  readonly headers: ForwardedHeaders;
  readonly body: Buffer;
  readonly splices: SpliceRanges;
  /** Beta flags this target is known to refuse; they are left out. */
  readonly refusedBetas: ReadonlySet<string> | undefined;
}

/** Where a call goes: the model as the provider calls it. */
export interface AdapterTarget {
  readonly provider: string;
  readonly model: string;
}

/** A step of a Message Batch that the provider runs. */
export interface BatchExchange {
  readonly step: NativeStep;
  readonly headers: ForwardedHeaders;
  /** Of `create`. */
  readonly body: readonly Buffer[];
}

/** A request as it goes onto the wire. */
export interface UpstreamRequest {
  /** POST, if absent. */
  readonly method?: "GET";
  /** Path with the base URL's prefix. */
  readonly path: string;
  /** Name, value, name, value …; without content-length. */
  readonly headers: readonly string[];
  /** The body in pieces, so that a large one is not copied for a small splice. */
  readonly body: readonly Buffer[];
}

/** Status line and headers of an answer, names in lower case. */
export interface UpstreamHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A whole answer in Messages bytes. */
export interface MessagesAnswer {
  readonly body: Buffer;
  readonly usage?: Usage;
  readonly messageId?: string;
  readonly containerId?: string;
}

/** Turns an upstream's stream into Messages SSE bytes. */
export interface StreamDecoder {
  /** The Messages bytes that this chunk gives; the chunk itself where the wire already is Messages. */
  push(chunk: Buffer): Buffer | undefined;
  /** What is left when the upstream's bytes have ended. */
  end(): Buffer | undefined;
}

export type FailureReason = Exclude<
  AttemptReason,
  "ok" | "connect_failed" | "worker_lost" | "cancelled" | "timed_out" | "idle"
>;

/** What went wrong with an answered attempt, in our terms. */
export interface Failure {
  readonly reason: FailureReason;
  /** The HTTP status it counts as: that of the answer, or of the error's type where a 200 carried it. */
  readonly status: number;
  /** A short phrase of ours; never the provider's words. */
  readonly detail?: string;
  /** True when the body is the Messages API's error envelope and may go to the caller as it came. */
  readonly envelope: boolean;
  /** `request_id` of the envelope. */
  readonly requestId?: string;
  /** For `beta_refused`: the flags that were named; empty when none was. */
  readonly refusedBetas?: readonly string[];
}

/** What one provider type's wire needs; pure functions of their arguments. */
export interface Adapter {
  /** The HTTP exchange for this call: path, headers, body bytes. */
  encode(call: ProviderCall, target: AdapterTarget): UpstreamRequest;
  /** The same for a Message Batch; absent where the provider has none. */
  encodeBatch?(exchange: BatchExchange): UpstreamRequest;
  /** A whole answer as Messages bytes and usage; undefined when it is none, whatever its status says: then classify it. */
  decode(operation: Operation, head: UpstreamHead, body: Buffer): MessagesAnswer | undefined;
  createStreamDecoder(): StreamDecoder;
  /** True when a stream's answer with this head carries events; otherwise its body is collected and classified. */
  isStream(head: UpstreamHead): boolean;
  /** What went wrong where `decode` found no answer: by the status, or by the error that a success status carried. */
  classify(head: UpstreamHead, body: Buffer): Failure;
  /** The failure that an error event stands for, as if its type's HTTP status had come. */
  classifyEvent(error: { readonly type: string; readonly message: string; readonly details?: unknown }): Failure;
}
