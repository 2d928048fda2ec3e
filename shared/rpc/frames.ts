import type { Frame } from "#proto/worker/v1/Frame.ts";
import type { Hello__Output } from "#proto/worker/v1/Hello.ts";
import type { Open__Output } from "#proto/worker/v1/Open.ts";
import type { ResetReason__Output } from "#proto/worker/v1/ResetReason.ts";
import type { CallHead, SentNote, WorkerCall } from "#shared/messages/call.ts";
import type { AnswerHead, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";

/** What both sides must speak alike; a peer of another version is refused. */
export const sessionVersion = 1;

/** The largest `data` frame: one frame of another call waits for no more than this. */
export const maxDataBytes = 32 * 1024;

export type ResetReason = "cancelled" | "superseded" | "refused" | "error";

const resetReasons = {
  cancelled: "RESET_REASON_CANCELLED",
  superseded: "RESET_REASON_SUPERSEDED",
  refused: "RESET_REASON_REFUSED",
  error: "RESET_REASON_ERROR",
} as const satisfies Record<ResetReason, ResetReason__Output>;

/** An `open` as the worker reads it. */
export interface OpenedCall {
  readonly head: CallHead;
  readonly delivery: number;
  readonly keepOrphan: boolean;
  readonly sentBefore: SentNote | undefined;
  /** The Redis key of the body, or how many bytes of it follow as `data`. */
  readonly body: { readonly key: string } | { readonly length: number };
}

export function toHelloFrame(hello: Hello__Output): Frame {
  return { call: 0, hello };
}

export function toOpenFrame(number: number, call: WorkerCall, keepOrphan: boolean): Frame {
  const { head, delivery, sentBefore, body } = call;
  return {
    call: number,
    open: {
      callId: head.id,
      delivery,
      keepOrphan,
      head: toJson(head),
      ...(sentBefore ? { sentBefore: toJson(sentBefore) } : {}),
      ...("key" in body ? { bodyKey: body.key } : { bodyLength: body.bytes.length }),
    },
  };
}

/** Throws SyntaxError when the head is no JSON. */
export function fromOpen(open: Open__Output): OpenedCall {
  return {
    head: fromJson(open.head) as CallHead,
    delivery: open.delivery,
    keepOrphan: open.keepOrphan,
    sentBefore: open.sentBefore.length > 0 ? (fromJson(open.sentBefore) as SentNote) : undefined,
    body: open.bodyKey === undefined ? { length: open.bodyLength ?? 0 } : { key: open.bodyKey },
  };
}

export function toAttachFrame(number: number, callId: string, delivery: number): Frame {
  return { call: number, attach: { callId, delivery } };
}

export function toHeldFrame(number: number, held: boolean): Frame {
  return { call: number, held: { held } };
}

export function toSentFrame(number: number, note: SentNote): Frame {
  return { call: number, sent: toJson(note) };
}

export function fromSent(json: Buffer): SentNote {
  return fromJson(json) as SentNote;
}

export function toHeadFrame(number: number, head: AnswerHead): Frame {
  return { call: number, head: toJson(head) };
}

export function fromHead(json: Buffer): AnswerHead {
  return fromJson(json) as AnswerHead;
}

/** Everything of an outcome but its body, which follows as `data`. */
export function toOutcomeFrame(number: number, outcome: Outcome): Frame {
  const { body, ...facts } = outcome;
  return { call: number, outcome: { facts: toJson(facts), bodyLength: body.length } };
}

export function fromOutcome(facts: Buffer, body: Buffer): Outcome {
  return { ...(fromJson(facts) as Omit<Outcome, "body">), body };
}

export function toEndFrame(number: number, trailer: StreamTrailer): Frame {
  return { call: number, end: toJson(trailer) };
}

export function fromEnd(json: Buffer): StreamTrailer {
  return fromJson(json) as StreamTrailer;
}

/** `asked`: whether a provider had been asked for this call. */
export function toResetFrame(number: number, reason: ResetReason, details: { asked?: boolean; message?: string } = {}) {
  const { asked = false, message = "" } = details;
  return { call: number, reset: { reason: resetReasons[reason], asked, message } } satisfies Frame;
}

/** A reason of a newer peer counts as an error. */
export function fromResetReason(reason: ResetReason__Output): ResetReason {
  if (reason === resetReasons.cancelled) return "cancelled";
  if (reason === resetReasons.superseded) return "superseded";
  return reason === resetReasons.refused ? "refused" : "error";
}

export function toReceivedFrame(number: number): Frame {
  return { call: number, received: {} };
}

export function toDrainFrame(): Frame {
  return { call: 0, drain: {} };
}

export function toLoadFrame(calls: number): Frame {
  return { call: 0, load: calls };
}

function toJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

// Not checked further: both ends are of one release and know each other, what one wrote by its type the other reads by it.
function fromJson(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString("utf8"));
}
