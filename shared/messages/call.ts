import type { NativeCall } from "./native-batch.ts";

export type Operation = "messages" | "count_tokens";

/** Bytes `start` to before `end` of a body. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Where the members that a provider's adapter replaces lie in the caller's body; found once, by the gateway. */
export interface SpliceRanges {
  /** The value of `model`, quotes included. */
  readonly model: ByteRange;
  /** The value of `stream`, if the member is there. */
  readonly stream?: ByteRange;
  /** The whole member `providerOptions` with one neighbouring comma, if it is there. */
  readonly providerOptions?: ByteRange;
}

/** `providerOptions.gateway` of the body. */
export interface RoutingWishes {
  readonly order?: readonly string[];
  readonly only?: readonly string[];
  readonly models?: readonly string[];
}

/** The request headers that go to a provider, lower case; nothing else of the caller's headers does. */
export interface ForwardedHeaders {
  readonly accept?: string;
  readonly "anthropic-beta"?: string;
  readonly "anthropic-version": string;
  readonly "content-type"?: string;
  readonly "user-agent"?: string;
}

/** A message thread the call begins or continues; such state is bound to the target that holds it. */
export type ThreadUse = { readonly type: "create" } | { readonly type: "continue"; readonly previousMessageId: string };

export const priorities = ["interactive", "background"] as const;
/** Whether somebody waits for the answer, or it may take what interactive calls leave. */
export type Priority = (typeof priorities)[number];

/** Everything the gateway knows of a call besides its body. Travels as JSON over queue and session. */
export interface CallHead {
  /** `call_…`, unique; also the BullMQ job id. */
  readonly id: string;
  readonly operation: Operation;
  readonly stream: boolean;
  /** Identity of the caller: `key:<name>` or `oidc:<name>:<sub>`. */
  readonly keyId: string;
  /** Catalogue name of the model. */
  readonly model: string;
  /** The model as the caller wrote it. */
  readonly askedModel: string;
  readonly headers: ForwardedHeaders;
  readonly splices: SpliceRanges;
  readonly wishes: RoutingWishes;
  /** Hash that names the conversation, for prompt-cache affinity. */
  readonly affinity?: string;
  readonly thread?: ThreadUse;
  /** Id of a container the call goes on in. */
  readonly container?: string;
  /** Only on background work; interactive otherwise. */
  readonly priority?: "background";
  /** Remarks of the gateway for the trace. */
  readonly notes?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly acceptedAt: number;
  /** Milliseconds since the epoch: whole answers and counts end by then, a stream has its first content by then. */
  readonly deadlineAt: number;
  /** Milliseconds since the epoch: the latest time to wait for capacity. */
  readonly waitUntil: number;
  /** An attempt of an earlier delivery was sent, never answered and repeated: none may be repeated any more. */
  readonly rerunUsed?: true;
  /** In place of asking for an answer. */
  readonly native?: NativeCall;
}

/** A body on its way: the bytes, or the Redis key under which they lie. */
export type CallBody = { readonly bytes: Buffer } | { readonly key: string };

/** A call as it is given to a worker. */
export interface WorkerCall {
  readonly head: CallHead;
  readonly body: CallBody;
  /** 1 for the first time the call is given to a worker, higher for each later one. */
  readonly delivery: number;
  /** Attempts that earlier deliveries are known to have made; the trace goes on from them. */
  readonly sentBefore?: SentNote;
}

/** A worker says so at the moment a provider is asked, so that a lost worker's attempt is known. */
export interface SentNote {
  readonly provider: string;
  readonly model: string;
  readonly at: number;
}
