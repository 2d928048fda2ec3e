import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { errorEnvelope, GatewayError } from "#shared/messages/error.ts";
import type { JoinableCall } from "#shared/store/call-registry.ts";
import type { TapePiece } from "#shared/store/tape-store.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { answerFromOutcome } from "../answer-headers.ts";
import type { Ticking } from "../call-clock.ts";
import { SseReply } from "../sse-reply.ts";
import { noFacts, type OpenCall } from "./open-call.ts";
import type { StreamedCallDeps } from "./streamed-call.ts";

export interface JoinStreamOptions {
  readonly target: JoinableCall;
  /** There is nothing to join: the call has to be made. */
  otherwise(): void;
}

const readEveryMs = 100;
/** Given to the caller's socket and not yet taken: beyond, the tape is read no further for now. */
const mostOwedBytes = 262_144;
/** How often to see whether the gateway that writes the tape lives. */
const checkEveryMs = 2000;

/** A streamed answer read from the tape of another call, the same, from its start. */
export class JoinedStream implements Ticking {
  readonly #call: OpenCall;
  readonly #options: JoinStreamOptions;
  readonly #deps: StreamedCallDeps;
  readonly #reply: SseReply;
  #isOver = false;
  #next = 0;
  #playedAt = Date.now();
  #owedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #leaveClock: (() => void) | undefined;
  #checkAt = Date.now() + checkEveryMs;

  constructor(call: OpenCall, options: JoinStreamOptions, deps: StreamedCallDeps) {
    this.#call = call;
    this.#options = options;
    this.#deps = deps;
    this.#reply = new SseReply(call.response, {
      turns: deps.turns,
      callId: call.head.id,
      onConsumed: (bytes) => void (this.#owedBytes -= bytes),
      onLeft: () => this.#end(499, new GatewayError("cancelled", "The caller left.")),
    });
  }

  start(): void {
    metrics.joinedTotal.inc({ operation: this.#call.head.operation, how: "joined" });
    this.#leaveClock = this.#deps.clock.add(this);
    void this.#read();
  }

  tick(now: number): void {
    const { pingAfterMs, commitAfterMs } = this.#deps.server;
    if (!this.#reply.sent) {
      if (now - this.#call.head.acceptedAt < commitAfterMs) return;
      this.#reply.begin(200, this.#headers({}), now);
      this.#reply.comment(now);
    } else if (now - this.#reply.writtenAt >= pingAfterMs) {
      if (this.#next === 0) this.#reply.comment(now);
      else this.#reply.ping(now);
    }
  }

  async #read(): Promise<void> {
    try {
      if (this.#owedBytes < mostOwedBytes) {
        const pieces = await this.#deps.tapes.read(this.#options.target.id, this.#next);
        for (const piece of pieces) if (!this.#isOver) this.#play(piece);
        if (pieces.length === 0 && Date.now() > this.#checkAt) await this.#check();
      }
    } catch {
      // Redis is away: read on when it is back, unless the call's time is up.
      if (Date.now() > this.#call.head.deadlineAt) this.#fail("The stream could not be read on.");
    }
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#read(), readEveryMs);
  }

  #play(piece: TapePiece): void {
    this.#next += 1;
    this.#playedAt = Date.now();
    switch (piece.kind) {
      case "head":
        return this.#reply.begin(piece.status, this.#headers(piece.headers), Date.now());
      case "data":
        this.#owedBytes += piece.bytes.length;
        return this.#reply.write(piece.bytes);
      case "end":
        if (piece.isBroken) this.#reply.endBroken();
        else this.#reply.end();
        return this.#end(200);
      case "error":
        this.#reply.fail(piece.envelope);
        return this.#end(200, new GatewayError("internal", "The stream failed."));
      case "answer":
        return this.#answer(piece.outcome.status, answerFromOutcome(piece.outcome));
      case "cut":
        if (piece.why === "cancelled") return this.#giveWay();
        return this.#fail("The stream was too long to be kept.");
      default:
        return piece satisfies never;
    }
  }

  /** A tape that nobody writes any more has no end. */
  async #check(): Promise<void> {
    const now = Date.now();
    this.#checkAt = now + checkEveryMs;
    const isSilent = now - this.#playedAt > this.#deps.server.streamIdleMs;
    if (isSilent || !(await this.#deps.calls.isListening(this.#options.target.channel))) this.#giveWay();
  }

  #giveWay(): void {
    if (this.#isOver) return;
    if (this.#reply.sent) return this.#fail("The stream was cut off before its end.");
    this.#reply.release();
    this.#close();
    this.#options.otherwise();
  }

  #fail(message: string): void {
    if (this.#isOver) return;
    const error = new GatewayError("internal", message, { shouldRetry: false });
    const { id } = this.#call.head;
    if (!this.#reply.sent) return this.#answer(error.status, answerFromOutcome(errorOutcome(error, id)));
    this.#reply.fail(errorEnvelope(error, id));
    this.#end(200, error);
  }

  #answer(status: number, answer: ReturnType<typeof answerFromOutcome>): void {
    this.#reply.answer({ ...answer, headers: { ...answer.headers, ...this.#mark() } });
    this.#end(status, status === 200 ? undefined : new GatewayError("internal", "The call failed."));
  }

  #headers(headers: Readonly<Record<string, string>>): Record<string, string> {
    return { ...headers, ...this.#mark() };
  }

  #mark(): Record<string, string> {
    return { "x-sluice-joined": `joined ${this.#options.target.id}` };
  }

  #end(status: number, error?: GatewayError): void {
    if (this.#isOver) return;
    this.#close();
    const { id } = this.#call.head;
    const notes = [`joined: ${this.#options.target.id}`];
    this.#call.end({ status, requestId: id, facts: { ...noFacts, notes, code: error?.code ?? "ok" }, isFree: true });
  }

  #close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#leaveClock?.();
  }
}
