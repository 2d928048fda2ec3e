import { GatewayError, errorEnvelope, type ErrorCode } from "#shared/messages/error.ts";
import type { AttemptReason } from "#shared/messages/outcome.ts";
import { encodeSseEvent } from "#shared/messages/sse.ts";
import { createStreamObserver, type StreamObserver } from "#shared/messages/stream-observer.ts";
import type { StreamSink } from "#shared/rpc/call-handler.ts";
import type { Failure, StreamDecoder, UpstreamHead } from "../adapters/adapter.ts";
import { Exchange, type ExchangeFailure, type ExchangeReceiver } from "../upstream/exchange.ts";
import { streamHeaders } from "../upstream/returned-headers.ts";
import type { AttemptEnd, BegunStream } from "./attempt-end.ts";
import type { AttemptOrder, MakeAttempt } from "./attempt-order.ts";
import { withDroppedBetas } from "./call-betas.ts";
import { createBodyCollector, type BodyCollector } from "./body-collector.ts";
import { endOfAnswer, endOfEvent, endOfFailure, seenOf, type Seen } from "./end-of-attempt.ts";

export interface StreamLimits {
  /** From sending to the status line. */
  readonly headersTimeoutMs: number;
  /** Without a byte, pings count. */
  readonly idleMs: number;
  readonly maxStreamMs: number;
  /** After `message_start` content is waited for so long, then the stream begins without. */
  readonly holdMs: number;
}

/** Where a stream goes and what is told about it. */
export interface StreamTarget {
  readonly sink: StreamSink;
  /** The stream begins: its head and first bytes leave right after this. */
  readonly onBegin: (order: AttemptOrder, observer: StreamObserver) => void;
}

/** An error answer on a stream, or a document where events should be. */
const maxErrorBytes = 4 * 1024 * 1024;
/** More than this before any content is relayed without waiting for it. */
const maxHeldBytes = 1024 * 1024;
/** After `message_stop` the rest of the HTTP body is read this long, so that the connection can be used again. */
const drainMs = 5_000;

export function createStreamAttempts(to: StreamTarget, limits: StreamLimits): MakeAttempt {
  return (order) =>
    new Promise((resolve) => {
      const attempt = new StreamAttempt({ order, to, limits }, resolve);
      attempt.start();
    });
}

interface StreamDeps {
  readonly order: AttemptOrder;
  readonly to: StreamTarget;
  readonly limits: StreamLimits;
}

/**
 * One attempt at a stream. States: head awaited → held (nothing has left yet, failing costs nothing) → begun (bytes go
 * out as they come) → settled; or head awaited → collecting (an error answer) → settled.
 * Nothing here makes a promise or a closure per chunk.
 */
class StreamAttempt implements ExchangeReceiver {
  readonly #order: AttemptOrder;
  readonly #to: StreamTarget;
  readonly #limits: StreamLimits;
  readonly #settle: (end: AttemptEnd) => void;
  readonly #exchange: Exchange;
  readonly #startedAt = Date.now();
  readonly #observer: StreamObserver = createStreamObserver();
  readonly #decoder: StreamDecoder;
  #state: "head" | "collecting" | "held" | "begun" | "settled" = "head";
  #head: UpstreamHead | undefined;
  #statusAt = 0;
  #collector: BodyCollector | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #holdTimer: NodeJS.Timeout | undefined;

  constructor(deps: StreamDeps, settle: (end: AttemptEnd) => void) {
    this.#order = deps.order;
    this.#to = deps.to;
    this.#limits = deps.limits;
    this.#settle = settle;
    this.#decoder = deps.order.provider.adapter.createStreamDecoder(deps.order.context);
    this.#exchange = new Exchange(this);
  }

  start(): void {
    const { run, provider, request } = this.#order;
    run.exchange = this.#exchange;
    this.#exchange.expireAt(run.head.deadlineAt, "deadline");
    provider.upstream.send(request, this.#exchange);
  }

  sent(): void {
    const { target, run } = this.#order;
    const now = Date.now();
    run.tellSent({ provider: target.provider, model: target.model, at: now });
    const statusBy = now + this.#limits.headersTimeoutMs;
    if (statusBy < run.head.deadlineAt) this.#exchange.expireAt(statusBy, "no_status");
  }

  head(head: UpstreamHead): void {
    this.#head = head;
    this.#statusAt = Date.now();
    this.#order.onStatus(head.status);
    this.#exchange.expireAt(this.#order.run.head.deadlineAt, "deadline");
    this.#exchange.limitIdle(this.#limits.idleMs);
    if (this.#order.provider.adapter.isStream(head)) {
      this.#state = "held";
      return;
    }
    this.#state = "collecting";
    this.#collector = createBodyCollector(maxErrorBytes);
  }

  data(chunk: Buffer): void {
    if (this.#collector) return this.#collect(chunk, this.#collector);
    const bytes = this.#decode(chunk);
    if (bytes !== undefined) this.#take(bytes);
  }

  #decode(chunk: Buffer | undefined): Buffer | undefined {
    try {
      return chunk === undefined ? this.#decoder.end() : this.#decoder.push(chunk);
    } catch {
      this.#cut("stream_cut", "bytes that cannot be read");
      this.#exchange.abort("bytes that cannot be read");
      return undefined;
    }
  }

  end(): void {
    if (this.#state === "settled" || !this.#head) return;
    if (this.#collector) {
      const response = { head: this.#head, body: this.#collector.take() };
      const end = endOfAnswer(this.#order, response, this.#seen());
      return this.#finish(end.reason === "ok" ? noStream(this.#seen()) : end);
    }
    const rest = this.#decode(undefined);
    if (rest !== undefined) this.#take(rest);
    this.#cut("stream_cut", "ended without message_stop");
  }

  failed(failure: ExchangeFailure): void {
    if (this.#state === "settled") return;
    const end = endOfFailure(failure, this.#seen());
    if (this.#state !== "held" && this.#state !== "begun") return this.#finish(end);
    this.#cut(end.reason === "reset" ? "stream_cut" : end.reason, failure.detail);
  }

  #collect(chunk: Buffer, collector: BodyCollector): void {
    if (collector.add(chunk)) return;
    this.#finish({ ...seenOf(this.#seen()), reason: "server_error", detail: "answer too large" });
    this.#exchange.abort("answer too large");
  }

  #take(bytes: Buffer): void {
    const observer = this.#observer;
    observer.push(bytes);
    if (this.#state === "begun") {
      if (!this.#to.sink.write(bytes)) this.#exchange.pause();
      if (isOver(observer) && !endsInCarriageReturn(bytes)) this.#endBegun();
    } else if (this.#state === "held") this.#hold(bytes);
  }

  #hold(bytes: Buffer): void {
    const observer = this.#observer;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (observer.error !== undefined && !observer.contentStarted) return this.#failBeforeContent(observer.error);
    if (observer.contentStarted || this.#heldBytes > maxHeldBytes) return this.#begin();
    if (observer.started) this.#holdTimer ??= setTimeout(() => this.#begin(), this.#limits.holdMs);
  }

  #begin(): void {
    if (this.#state !== "held" || !this.#head) return;
    clearTimeout(this.#holdTimer);
    const order = this.#order;
    const { sink, onBegin } = this.#to;
    this.#state = "begun";
    this.#exchange.expireAt(Date.now() + this.#limits.maxStreamMs, "longest");
    order.onContent();
    onBegin(order, this.#observer);
    sink.source = this.#exchange;
    sink.head({
      status: this.#head.status,
      headers: withDroppedBetas(streamHeaders(this.#head.headers, order.run.head.id), order.run, order.target),
      provider: order.target.provider,
      model: order.target.catalogueModel,
      attempts: order.run.attempts.length + 1,
    });
    let wantsMore = true;
    for (const held of this.#held) wantsMore = sink.write(held);
    const last = this.#held.at(-1);
    this.#held = [];
    if (!wantsMore) this.#exchange.pause();
    if (isOver(this.#observer) && !(last && endsInCarriageReturn(last))) this.#endBegun();
  }

  #failBeforeContent(error: NonNullable<StreamObserver["error"]>): void {
    const failure = this.#order.provider.adapter.classifyEvent(error);
    const headers = { ...this.#head?.headers, "content-type": "application/json" };
    const body = Buffer.from(
      JSON.stringify({
        type: "error",
        error,
        request_id: headers["request-id" as keyof typeof headers] ?? this.#order.run.head.id,
      }),
    );
    this.#finish(endOfEvent(failure, { head: { status: failure.status, headers }, body }, this.#seen()));
    this.#exchange.abort("error event");
  }

  /** The stream's own end has been relayed: `message_stop`, or the provider's error event. */
  #endBegun(): void {
    if (this.#observer.error !== undefined) {
      this.#settleBegun("stream_error", "error_event", this.#detailOf(this.#observer.error));
      this.#exchange.abort("error event");
      return;
    }
    this.#settleBegun("ok", "complete", undefined);
    this.#exchange.expireAt(Date.now() + drainMs, "drained");
    // However slow the reader is: nothing that still comes is for it.
    this.#exchange.resume();
  }

  /** The error's type, and what the wire knows beyond it. */
  #detailOf(error: NonNullable<StreamObserver["error"]>): string {
    const { detail } = this.#order.provider.adapter.classifyEvent(error);
    return detail === undefined ? error.type : `${error.type}: ${detail}`;
  }

  /** The bytes ended, or were ended by a limit, before the stream's own end. */
  #cut(reason: AttemptReason, detail: string): void {
    if (this.#state === "settled") return;
    if (this.#state !== "begun") {
      this.#finish({ ...seenOf(this.#seen()), reason, detail });
      return;
    }
    if (isOver(this.#observer)) return this.#endBegun();
    // Inside an event an error event would be read as part of it: then only a broken connection is honest.
    const canTell = this.#observer.atBorder && reason !== "cancelled";
    if (canTell) this.#to.sink.write(this.#errorEvent(reason));
    this.#settleBegun(reason, canTell ? "error_event" : "cut", detail);
  }

  #errorEvent(reason: AttemptReason): Buffer {
    const [code, message] = cutWords[reason] ?? cutWords["stream_cut"] ?? ["internal", "The stream ended early."];
    const requestId = this.#head?.headers["request-id"] ?? this.#order.run.head.id;
    return encodeSseEvent("error", errorEnvelope(new GatewayError(code, message), requestId));
  }

  #settleBegun(reason: AttemptReason, end: BegunStream["end"], detail: string | undefined): void {
    const { usage, containerId } = this.#observer;
    this.#finish({
      ...seenOf(this.#seen()),
      reason,
      ...(detail === undefined ? {} : { detail }),
      begun: { end, ...(usage ? { usage } : {}), ...(containerId === undefined ? {} : { containerId }) },
    });
  }

  #finish(end: AttemptEnd): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    clearTimeout(this.#holdTimer);
    if (end.begun) this.#to.sink.source = undefined;
    this.#held = [];
    this.#settle(end);
  }

  #seen(): Seen {
    return { startedAt: this.#startedAt, ...(this.#head ? { head: this.#head, statusAt: this.#statusAt } : {}) };
  }
}

function isOver(observer: StreamObserver): boolean {
  return observer.stopped || observer.error !== undefined;
}

/** Half of a CRLF: the other half belongs to the stream's last event. */
function endsInCarriageReturn(bytes: Buffer): boolean {
  return bytes[bytes.length - 1] === 0x0d;
}

function noStream(seen: Seen): AttemptEnd {
  const failure: Failure = {
    reason: "server_error",
    status: 502,
    detail: "a document in place of a stream",
    envelope: false,
  };
  return { ...seenOf(seen), reason: failure.reason, detail: "a document in place of a stream", failure };
}

/** What the made error event says. */
const cutWords: Partial<Record<AttemptReason, readonly [ErrorCode, string]>> = {
  stream_cut: ["internal", "The provider's stream ended early."],
  idle: ["timed_out", "The provider's stream fell silent."],
  timed_out: ["timed_out", "The stream took longer than this gateway allows."],
};
