import type { OutgoingHttpHeaders } from "node:http";
import type { ErrorEnvelope } from "#shared/messages/error.ts";
import type { Answer } from "./answer.ts";

/** Where a streamed call's answer goes. Nothing is written after its end, whichever it was. */
export interface StreamReply {
  /** Since when nothing has been written. */
  readonly writtenAt: number;
  /** In place of a stream: an ordinary answer. */
  answer(answer: Answer): void;
  /** Sends status and headers; once. `request-id` is ours unless the headers bring one. */
  begin(status: number, headers: OutgoingHttpHeaders, now: number): void;
  /** A comment: before `message_start` clients know no `ping` event. */
  comment(now: number): void;
  /** A `ping` event, if the bytes so far end at an event's border; else nothing. */
  ping(now: number): void;
  /** Bytes of the answer, as they came. */
  write(chunk: Buffer): void;
  /** The end of a complete answer. */
  end(): void;
  /** The end of an answer whose own last event was an error: the connection goes with it. */
  endBroken(): void;
  /** An `error` event of ours, under its `id:` if it has one, then the end of answer and connection. */
  fail(envelope: ErrorEnvelope, eventId?: number): void;
}
