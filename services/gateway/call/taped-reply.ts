import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ErrorEnvelope } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { Claim } from "#shared/store/claim-store.ts";
import type { TapePiece, TapeStore } from "#shared/store/tape-store.ts";
import type { Answer } from "../answer.ts";
import { SseReply, type SseReplyOptions } from "../sse-reply.ts";
import type { StreamReply } from "../stream-reply.ts";
import { isLasting } from "./replayable.ts";

export interface TapedReplyOptions extends SseReplyOptions {
  readonly tapes: TapeStore;
  readonly claim: Claim;
  /** How long the stream goes on for nobody. */
  readonly lingerMs: number;
}

const writeEveryMs = 50;
const mostBytes = 8 * 2 ** 20;

/**
 * A streamed answer that is written down, so that the same request can have it from its start. When its caller leaves it
 * goes on while somebody reads the tape, and a while longer.
 *
 * States: attended → (the caller left) unattended → ended.
 */
export class TapedReply implements StreamReply {
  readonly #options: TapedReplyOptions;
  readonly #live: SseReply;
  #isUnattended = false;
  #isOver = false;
  #pending: TapePiece[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lingering: NodeJS.Timeout | undefined;
  #bytes = 0;
  /** Given to the caller's socket and not yet taken. */
  #owedBytes = 0;
  #headers: Readonly<Record<string, string>> | undefined;

  constructor(response: ServerResponse, options: TapedReplyOptions) {
    this.#options = options;
    const onConsumed = (bytes: number): void => {
      this.#owedBytes -= bytes;
      options.onConsumed(bytes);
    };
    this.#live = new SseReply(response, { ...options, onConsumed, onLeft: () => this.#left() });
  }

  get writtenAt(): number {
    return this.#isUnattended ? Infinity : this.#live.writtenAt;
  }

  answer(answer: Answer): void {
    const headers = textHeaders(answer.headers);
    const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
    const outcome: Outcome = {
      code: "upstream",
      status: answer.status,
      headers,
      body,
      attempts: [],
      waits: [],
      notes: [],
    };
    const last: TapePiece = { kind: "answer", outcome };
    if (!isLasting(outcome)) return this.#finishInVain(last, () => this.#live.answer(answer));
    this.#live.answer(answer);
    this.#finish(last);
  }

  begin(status: number, headers: OutgoingHttpHeaders, now: number): void {
    this.#live.begin(status, headers, now);
    // A stream may be committed first, with no headers but ours, and begin later.
    this.#headers ??= textHeaders(headers);
  }

  comment(now: number): void {
    this.#live.comment(now);
  }

  ping(now: number): void {
    this.#live.ping(now);
  }

  write(chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#bytes === 0) this.#put({ kind: "head", status: 200, headers: this.#headers ?? {} });
    this.#bytes += chunk.length;
    // Copied: a chunk is a view into a larger message.
    if (this.#bytes <= mostBytes) this.#put({ kind: "data", bytes: Buffer.from(chunk) });
    if (this.#isUnattended) return this.#options.onConsumed(chunk.length);
    this.#owedBytes += chunk.length;
    this.#live.write(chunk);
  }

  end(): void {
    this.#live.end();
    this.#finish({ kind: "end", isBroken: false });
  }

  endBroken(): void {
    this.#finishInVain({ kind: "end", isBroken: true }, () => this.#live.endBroken());
  }

  fail(envelope: ErrorEnvelope): void {
    this.#finishInVain({ kind: "error", envelope }, () => this.#live.fail(envelope));
  }

  #left(): void {
    if (this.#isOver) return;
    this.#isUnattended = true;
    if (this.#owedBytes > 0) this.#options.onConsumed(this.#owedBytes);
    this.#linger();
  }

  #linger(): void {
    const { tapes, callId, claim, lingerMs } = this.#options;
    this.#lingering = setTimeout(() => {
      void tapes.endUnread(callId, claim.keepMs).then(
        (isEnded) => (isEnded ? this.#cancel() : this.#linger()),
        () => this.#cancel(),
      );
    }, lingerMs).unref();
  }

  #cancel(): void {
    if (this.#isOver) return;
    this.#over();
    void this.#options.claim.release();
    this.#options.onLeft();
  }

  /** The key is free again before the caller hears of it: who asks again at once is not answered with the failure. */
  #finishInVain(last: TapePiece, tell: () => void): void {
    this.#finish(last);
    void this.#options.claim.release().then(tell);
  }

  #finish(last: TapePiece): void {
    if (this.#isOver) return;
    this.#over();
    this.#pending.push(this.#bytes > mostBytes ? { kind: "cut", why: "too_long" } : last);
    this.#flush();
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#lingering);
  }

  #put(piece: TapePiece): void {
    if (this.#pending.push(piece) === 1) this.#timer = setTimeout(() => this.#flush(), writeEveryMs);
  }

  #flush(): void {
    const { tapes, callId, claim } = this.#options;
    const pieces = joinData(this.#pending);
    this.#pending = [];
    // A tape with a hole is worse than none: the rest is never written, and its readers are told that it was cut.
    tapes.append(callId, pieces, claim.keepMs).catch(() => {
      this.#bytes = Infinity;
      void claim.release();
    });
  }
}

/** Neighbouring bytes as one piece. */
function joinData(pieces: readonly TapePiece[]): TapePiece[] {
  const joined: TapePiece[] = [];
  let run: Buffer[] = [];
  const close = (): void => {
    if (run.length > 0) joined.push({ kind: "data", bytes: Buffer.concat(run) });
    run = [];
  };
  for (const piece of pieces) {
    if (piece.kind === "data") {
      run.push(piece.bytes);
      continue;
    }
    close();
    joined.push(piece);
  }
  close();
  return joined;
}

function textHeaders(headers: OutgoingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
