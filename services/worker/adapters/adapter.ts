import type { ForwardedHeaders, Operation, SpliceRanges } from "#shared/messages/call.ts";
import type { NativeStep } from "#shared/messages/native-batch.ts";
import type { AttemptReason } from "#shared/messages/outcome.ts";
import type { Usage } from "#shared/messages/usage.ts";

/** A call as an adapter sees it; values only. */
export interface ProviderCall {
  /** `call_…`; what an adapter makes up, a message's id above all, it makes from this. */
  readonly id: string;
  readonly operation: Operation;
  readonly stream: boolean;
  /** The model as it is written in the body. */
  readonly askedModel: string;
  readonly headers: ForwardedHeaders;
  readonly body: Buffer;
  readonly splices: SpliceRanges;
  /** Beta flags this target is known to refuse; they are left out. */
  readonly refusedBetas: ReadonlySet<string> | undefined;
  /** What the betas table says of the call's flags on this target; undefined when it carries none. */
  readonly betas?: SortedBetas;
}

/** A call's beta flags after the betas table: what goes where. */
export interface SortedBetas {
  /** In the header, under the provider's names. */
  readonly header: readonly string[];
  /** In the body's `anthropic_beta`, under the provider's names. */
  readonly body: readonly string[];
  /** As the caller wrote them. */
  readonly dropped: readonly string[];
}

/** What a provider is asked with; made by a credential source, which refreshes it. Secret: never logged. */
export type Credential =
  | { readonly kind: "headers"; readonly headers: readonly string[] }
  | {
      readonly kind: "aws";
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      readonly sessionToken?: string;
    };

/** What an attempt adds to the call. */
export interface EncodeGiven {
  readonly credential: Credential | undefined;
  /** Milliseconds since the epoch; signatures carry it. */
  readonly now: number;
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
  /** For the trace: what was left out or adapted for this target, such as `dropped: cache_control`. Never the caller's words. */
  readonly notes?: readonly string[];
}

/** What an answer is decoded with beyond its bytes. */
export interface DecodeContext {
  readonly callId: string;
  readonly operation: Operation;
  /** The model as the caller wrote it: what a translated answer names. */
  readonly askedModel: string;
  /** The call's body, for what an answer does not say: an estimate of its input tokens above all. */
  readonly body: Buffer;
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
  /** An error of another wire as the Messages API's envelope, when its words may go to the caller; `envelope` is false then. */
  readonly answer?: Buffer;
  /** When the target may be asked again (milliseconds since the epoch), where the wire says so elsewhere than in `retry-after`. */
  readonly retryAt?: number;
}

/** What one provider type's wire needs; pure functions of their arguments. */
export interface Adapter {
  /** Scheme, host and port that the calls go to. */
  readonly origin: string;
  /** Whether token counts can be asked for; where they cannot, they are estimated. */
  readonly counts: boolean;
  /**
   * The HTTP exchange for this call: path, headers, body bytes. Throws `GatewayError` `invalid_request` that names the
   * member, where this wire cannot say what the caller asks; another target may.
   */
  encode(call: ProviderCall, target: AdapterTarget, given: EncodeGiven): UpstreamRequest;
  /** The same for a Message Batch; absent where the provider has none. */
  encodeBatch?(exchange: BatchExchange): UpstreamRequest;
  /** A whole answer as Messages bytes and usage; undefined when it is none, whatever its status says: then classify it. */
  decode(context: DecodeContext, head: UpstreamHead, body: Buffer): MessagesAnswer | undefined;
  createStreamDecoder(context: DecodeContext): StreamDecoder;
  /** True when a stream's answer with this head carries events; otherwise its body is collected and classified. */
  isStream(head: UpstreamHead): boolean;
  /** What went wrong where `decode` found no answer: by the status, or by the error that a success status carried. */
  classify(head: UpstreamHead, body: Buffer): Failure;
  /** The failure that an error event stands for, as if its type's HTTP status had come. */
  classifyEvent(error: { readonly type: string; readonly message: string; readonly details?: unknown }): Failure;
}

/**
 * Makes the adapter of a provider. A foreign wire's stream decoder gives Messages events, an upstream error as an `error`
 * event of the Messages API's type.
 */
export type CreateAdapter<Config> = (config: Config) => Adapter;

/** Where a provider's credential comes from; one per provider and process. */
export interface CredentialSource {
  /** The credential while it is fresh, without a promise; undefined when it has to be fetched first. */
  readonly current: Credential | undefined;
  /** Fetches or refreshes; calls of the same time share one fetch. Rejects with `GatewayError` `bad_gateway`-like code. */
  get(signal: AbortSignal): Promise<Credential>;
  /**
   * The provider did not know this one: it is given out no more. True when another one is, or will be; false when that
   * was so a moment ago, and the fault lies elsewhere. Absent where there never is another one.
   */
  forget?(refused: Credential): boolean;
  /** This one may lack what its owner has been given since: another is fetched beside the calls, once in a while. */
  renew?(doubted: Credential): void;
  close?(): void;
}
