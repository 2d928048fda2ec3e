import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { errorCodes, errorEnvelope, GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { SentNote, WorkerCall } from "#shared/messages/call.ts";
import type { AnswerHead, CallFacts, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import type { StreamHandle, StreamReceiver } from "#shared/rpc/stream-call.ts";
import { startTimer } from "#shared/runtime/deadline.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { answerFromOutcome, streamHeaders } from "../answer-headers.ts";
import type { CallClock, Ticking } from "../call-clock.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { SseReply, type SseReplyOptions } from "../sse-reply.ts";
import type { StreamReply } from "../stream-reply.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { behind, capacityWait, mayWaitUntil, spreadMs, type Trail } from "./capacity.ts";
import { noFacts, type OpenCall } from "./open-call.ts";
import { envelopeOf } from "./outcome-envelope.ts";

export interface StreamedCallDeps extends GatewayDeps {
  readonly clock: CallClock;
  readonly turns: TurnQueue;
}

/** The worker knows more of a stream's end than we do, so it speaks first. */
const deadlineGraceMs = 1000;
/** Workers that may be lost with this call in hand, unsent, before it is given up. */
const mostLostWorkers = 3;

/**
 * A streamed answer, straight from a worker to the caller.
 *
 * States: opening (nothing sent; failures are ordinary answers) → committed (200 and comments; a failure is an `error`
 * event) → begun (the answer's own bytes) → ended. Committed is skipped when the answer begins in time. While opening
 * or committed the call may be opened again: after a wait for capacity, and after the loss of its worker.
 */
export class StreamedCall implements StreamReceiver, Ticking {
  readonly #call: OpenCall;
  readonly #deps: StreamedCallDeps;
  readonly #reply: StreamReply;
  readonly #abort = new AbortController();
  /** What came before it was opened again. */
  #trail: Trail | undefined;
  #state: "opening" | "committed" | "begun" | "ended" = "opening";
  #handle: StreamHandle | undefined;
  #stopWaiting: (() => void) | undefined;
  #leaveClock: (() => void) | undefined;
  #again: NodeJS.Immediate | undefined;
  #delivery = 1;
  #sentBefore: SentNote | undefined;
  #lostWorkers = 0;
  #target: { readonly provider: string; readonly model: string } | undefined;
  /** What the caller saw as `request-id`. */
  #requestId: string;

  constructor(call: OpenCall, deps: StreamedCallDeps, makeReply = plainReply) {
    this.#call = call;
    this.#deps = deps;
    this.#requestId = call.head.id;
    this.#reply = makeReply(call, {
      turns: deps.turns,
      callId: call.head.id,
      onConsumed: (bytes) => this.#handle?.consumed(bytes),
      onLeft: () => this.#leave(),
    });
  }

  start(): void {
    this.#leaveClock = this.#deps.clock.add(this);
    this.#open();
  }

  /** Somebody other than its caller ends the call. */
  cancel(): void {
    if (this.#state !== "ended")
      this.#fail(new GatewayError("cancelled", "The call was cancelled.", { shouldRetry: false }));
  }

  tick(now: number): void {
    const { head } = this.#call;
    const { server } = this.#deps;
    if (this.#state === "begun") {
      if (now - head.acceptedAt > server.maxStreamMs) this.#fail(timeUp("The longest time for a stream is up."));
      else if (now - this.#reply.writtenAt >= server.pingAfterMs) this.#reply.ping(now);
      return;
    }
    if (now > head.deadlineAt + deadlineGraceMs) this.#fail(timeUp("The time for this call's first content is up."));
    else if (this.#state === "opening" && now - head.acceptedAt >= server.commitAfterMs) this.#commit(now);
    else if (this.#state === "committed" && now - this.#reply.writtenAt >= server.pingAfterMs) this.#reply.comment(now);
  }

  head(head: AnswerHead): void {
    if (this.#state === "ended") return;
    const now = Date.now();
    this.#target = { provider: head.provider, model: head.model };
    if (this.#state === "opening") {
      this.#requestId = head.headers["request-id"] ?? this.#requestId;
      this.#reply.begin(head.status, streamHeaders(head, this.#trail), now);
    }
    this.#state = "begun";
    this.#call.contentBegan(now);
  }

  data(chunk: Buffer): void {
    this.#reply.write(chunk);
  }

  end(trailer: StreamTrailer): void {
    if (this.#state === "ended") return;
    metrics.streamEndsTotal.inc({ end: trailer.end });
    if (trailer.end === "complete") this.#reply.end();
    else if (trailer.end === "error_event") this.#reply.endBroken();
    else this.#reply.fail(errorEnvelope(cutError(trailer), this.#requestId));
    const { end: _, ...facts } = trailer;
    this.#close(200, behind(this.#trail, facts));
  }

  outcome(outcome: Outcome): void {
    if (this.#state === "ended") return;
    this.#handle = undefined;
    const until = mayWaitUntil(outcome, this.#call.head);
    if (until === undefined) this.#answer(outcome);
    else this.#openAt(until, behind(this.#trail, outcome));
  }

  lost(info: { readonly sent: SentNote | undefined; readonly begun: boolean }): void {
    if (this.#state === "ended") return;
    this.#handle = undefined;
    this.#trail = behind(this.#trail, { ...noFacts, notes: ["worker_lost"] });
    this.#lostWorkers += 1;
    const { sent } = info;
    const wasSent = sent !== undefined || this.#sentBefore !== undefined;
    const mayRerun = sent === undefined ? this.#lostWorkers <= mostLostWorkers : this.#mayRerunSent();
    if (this.#state === "begun" || info.begun || !mayRerun) {
      this.#fail(workerLost(wasSent));
      return;
    }
    if (sent !== undefined) {
      this.#sentBefore = sent;
      metrics.possibleDoubleChargeTotal.inc({ provider: sent.provider, model: sent.model });
    }
    this.#delivery += 1;
    // In the next turn: the pool is still taking leave of the session that this call was on.
    this.#again = setImmediate(() => this.#open());
  }

  /** A call that was sent is sent once more in all, whichever worker did it. */
  #mayRerunSent(): boolean {
    return this.#deps.rerunSent && this.#sentBefore === undefined;
  }

  #open(): void {
    const { head, bytes } = this.#call;
    const asked: WorkerCall = {
      head,
      body: { bytes },
      delivery: this.#delivery,
      ...(this.#sentBefore ? { sentBefore: this.#sentBefore } : undefined),
    };
    try {
      const handle = this.#deps.pool.stream(asked, this, { signal: this.#abort.signal });
      // The pool may have called back, and ended the call, before it returned.
      if (this.#state === "ended") handle.cancel();
      else this.#handle = handle;
    } catch (reason) {
      this.#fail(toGatewayError(reason));
    }
  }

  #openAt(until: number, { attempts, waits, notes }: Outcome): void {
    const startedAt = Date.now();
    this.#trail = { attempts, waits, notes };
    this.#stopWaiting = startTimer(Math.max(startedAt, until) + spreadMs(), () => {
      this.#trail = { attempts, waits: [...waits, capacityWait(startedAt)], notes };
      this.#delivery += 1;
      this.#open();
    });
  }

  #commit(now: number): void {
    this.#state = "committed";
    this.#reply.begin(200, {}, now);
    this.#reply.comment(now);
  }

  #fail(error: GatewayError): void {
    this.#answer(errorOutcome(error, this.#requestId));
  }

  /** The call ends without `message_stop`: as an ordinary answer, or as an `error` event when headers are out. */
  #answer(given: Outcome): void {
    const outcome = behind(this.#trail, given);
    if (this.#state === "begun") {
      this.#reply.fail(envelopeOf(outcome, this.#requestId));
      this.#closeEarly(200, outcome);
      return;
    }
    this.#handle?.cancel();
    if (this.#state === "opening") {
      this.#reply.answer(answerFromOutcome(outcome));
      this.#close(outcome.status, outcome);
    } else {
      this.#reply.fail(envelopeOf(outcome, this.#requestId));
      this.#close(200, outcome);
    }
  }

  #leave(): void {
    if (this.#state === "ended") return;
    this.#closeEarly(499, behind<CallFacts>(this.#trail, { ...noFacts, ...this.#target, code: "cancelled" }));
    this.#abort.abort(new GatewayError("cancelled", "The caller left."));
  }

  /** Nobody waits for the rest; what the worker knows of it, usage above all, goes with the call's end. */
  #closeEarly(status: number, facts: CallFacts): void {
    const handle = this.#handle;
    this.#stop();
    const end = (trailer?: StreamTrailer): void => {
      const known = trailer ? behind(this.#trail, { ...trailer, code: facts.code }) : facts;
      this.#call.end({ status, requestId: this.#requestId, facts: known });
    };
    if (handle) handle.cancel(end);
    else end();
  }

  #close(status: number, facts: CallFacts): void {
    this.#stop();
    this.#call.end({ status, requestId: this.#requestId, facts });
  }

  #stop(): void {
    this.#state = "ended";
    this.#stopWaiting?.();
    clearImmediate(this.#again);
    this.#leaveClock?.();
  }
}

function plainReply(call: OpenCall, options: SseReplyOptions): StreamReply {
  return new SseReply(call.response, options);
}

function timeUp(message: string): GatewayError {
  return new GatewayError("timed_out", message, { shouldRetry: false });
}

function workerLost(wasSent: boolean): GatewayError {
  return wasSent
    ? new GatewayError("internal", "The call's worker was lost.", { shouldRetry: false })
    : new GatewayError("overloaded", "The call's worker was lost.", { retryAfterS: 1 });
}

function cutError(facts: CallFacts): GatewayError {
  const code = facts.code in errorCodes ? (facts.code as keyof typeof errorCodes) : "internal";
  return new GatewayError(code, "The stream was cut off before its end.");
}
