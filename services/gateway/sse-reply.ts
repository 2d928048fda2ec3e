import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ErrorEnvelope } from "#shared/messages/error.ts";
import { encodeSseEvent, pingComment, pingEvent } from "#shared/messages/sse.ts";
import { writeAnswer, type Answer } from "./answer.ts";
import { followTail, isEventBorder } from "./event-border.ts";
import { frameChunks } from "./frame-chunks.ts";
import type { StreamReply } from "./stream-reply.ts";
import type { TurnQueue } from "./turn-queue.ts";

export interface SseReplyOptions {
  readonly turns: TurnQueue;
  readonly callId: string;
  /** So many bytes have reached the caller's socket; more may come. */
  readonly onConsumed: (bytes: number) => void;
  /** The caller closed the connection before the end. At most once. */
  readonly onLeft: () => void;
}

/** How long a caller may take to read an answer's end. */
const farewellMs = 10_000;

/**
 * A streamed answer on the caller's socket.
 *
 * States: silent (nothing sent) → open (200 and perhaps comments) → ended. What is written during one turn leaves in
 * one write at its end. While the socket is full nothing is reported as consumed, so the sender stands still.
 */
export class SseReply implements StreamReply {
  readonly #response: ServerResponse;
  readonly #options: SseReplyOptions;
  #state: "silent" | "open" | "ended" = "silent";
  #socket: Socket | undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #stalledBytes = 0;
  #isFull = false;
  #tail = 0;
  #writtenAt = 0;

  constructor(response: ServerResponse, options: SseReplyOptions) {
    this.#response = response;
    this.#options = options;
    response.on("close", () => {
      if (this.#state === "ended") return;
      this.#state = "ended";
      options.onLeft();
    });
  }

  get sent(): boolean {
    return this.#state !== "silent";
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  get writtenAt(): number {
    return this.#writtenAt;
  }

  begin(status: number, headers: OutgoingHttpHeaders, now: number): void {
    if (this.#state !== "silent") return;
    this.#state = "open";
    this.#writtenAt = now;
    headers["content-type"] ??= "text/event-stream; charset=utf-8";
    headers["cache-control"] ??= "no-cache";
    headers["x-accel-buffering"] = "no";
    headers["request-id"] ??= this.#options.callId;
    headers["x-sluice-request-id"] = this.#options.callId;
    this.#response.writeHead(status, headers);
  }

  comment(now: number): void {
    this.#insert(pingComment, now);
  }

  ping(now: number): void {
    if (this.#pendingBytes === 0 && isEventBorder(this.#tail)) this.#insert(pingEvent, now);
  }

  write(chunk: Buffer): void {
    if (this.#state !== "open") return;
    if (this.#pending.push(chunk) === 1) this.#options.turns.add(this);
    this.#pendingBytes += chunk.length;
  }

  flush(now: number): void {
    const bytes = this.#pendingBytes;
    if (bytes === 0 || this.#state !== "open") return;
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const chunk of pending) this.#tail = followTail(this.#tail, chunk);
    this.#writtenAt = now;
    const sender = this.#socket ?? this.#response;
    const hasRoom = this.#send(pending, bytes);
    if (hasRoom && !this.#isFull) this.#options.onConsumed(bytes);
    else this.#stall(bytes, sender);
  }

  /**
   * From the second write on the chunks are framed here and go to the socket as they are: Node's own framing makes four
   * buffers and a corked writev of each write, and costs a third more per delta.
   */
  #send(pieces: readonly Buffer[], bytes: number): boolean {
    if (this.#socket) return this.#socket.write(frameChunks(pieces, bytes));
    const response = this.#response;
    // Copied: pieces are views into larger messages, which a slow reader would keep in memory with them.
    const hasRoom = response.write(Buffer.concat(pieces, bytes));
    // HTTP/1.0 knows no chunks, and a pipelined answer has no socket before its turn.
    if (response.chunkedEncoding && response.socket) this.#socket = response.socket;
    return hasRoom;
  }

  answer(answer: Answer): void {
    if (this.#state !== "silent") return;
    this.#state = "ended";
    writeAnswer(this.#response, this.#options.callId, answer);
  }

  /** Leaves the response to somebody else; only while nothing was sent. */
  release(): void {
    this.#state = "ended";
  }

  end(): void {
    this.flush(this.#writtenAt);
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#response.end();
  }

  endBroken(): void {
    this.flush(this.#writtenAt);
    if (this.#state !== "open") return;
    this.#state = "ended";
    const { socket } = this.#response;
    this.#response.end(() => socket?.destroySoon());
    this.#destroyLater();
  }

  fail(envelope: ErrorEnvelope, eventId?: number): void {
    this.flush(this.#writtenAt);
    if (this.#state !== "open") return;
    const event = encodeSseEvent("error", envelope);
    if (isEventBorder(this.#tail)) {
      if (eventId !== undefined) this.#response.write(`id: ${eventId}\n`);
      this.#response.write(event);
      this.endBroken();
      return;
    }
    // Cut within an event: a second `event:` line renames what was begun, and the answer is left without its last
    // chunk, so that no reader takes it for complete.
    this.#state = "ended";
    const { socket } = this.#response;
    this.#response.write("\n");
    this.#response.write(event, () => socket?.destroySoon());
    this.#destroyLater();
  }

  /** For a caller that does not read: its connection would stay open with what it was to be told. */
  #destroyLater(): void {
    const timer = setTimeout(() => this.#response.destroy(), farewellMs);
    this.#response.once("close", () => clearTimeout(timer));
  }

  #insert(bytes: Buffer, now: number): void {
    if (this.#state !== "open" || this.#isFull) return;
    this.#writtenAt = now;
    this.#send([bytes], bytes.length);
  }

  #stall(bytes: number, sender: Socket | ServerResponse): void {
    this.#stalledBytes += bytes;
    if (this.#isFull) return;
    this.#isFull = true;
    sender.once("drain", () => {
      const stalled = this.#stalledBytes;
      this.#isFull = false;
      this.#stalledBytes = 0;
      if (this.#state === "open") this.#options.onConsumed(stalled);
    });
  }
}
