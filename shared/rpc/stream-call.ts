import type { SentNote, WorkerCall } from "#shared/messages/call.ts";
import type { AnswerHead, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import type { Farewell } from "./await-farewell.ts";
import type { CallResult, ClientCall } from "./client-call.ts";
import { errorOutcome } from "./error-outcome.ts";
import { noWorker } from "./no-worker.ts";
import { lostAfterMs, type WorkerLink } from "./worker-link.ts";
import type { WorkerLinks } from "./worker-links.ts";

/** In this order: `head`, any number of `data`, `end`; or `outcome` alone; or `lost` at any time. Nothing after it. */
export interface StreamReceiver {
  head(head: AnswerHead): void;
  /** A view into a larger message: copy what is kept for long. Give it back with `StreamHandle.consumed`. */
  data(chunk: Buffer): void;
  end(trailer: StreamTrailer): void;
  /** Nothing was streamed: an error, or `blockedUntil`. */
  outcome(outcome: Outcome): void;
  /** The worker is gone. Whether the call is opened again is the owner's decision. */
  lost(info: { readonly sent: SentNote | undefined; readonly begun: boolean }): void;
}

export interface StreamHandle {
  /** So many bytes of `data` have left; the worker may send as many again. */
  consumed(bytes: number): void;
  /**
   * The caller is gone. Nothing is received any more; only the farewell is told, once, what the worker knows of a stream
   * that had begun, or `undefined` when there is nothing to know, or within half a second.
   */
  cancel(farewell?: Farewell): void;
}

/** Opens a streamed call on the least loaded worker; without a worker it waits up to 2 s for one. */
export function openStream(
  call: WorkerCall,
  receiver: StreamReceiver,
  deps: { signal: AbortSignal; links: WorkerLinks },
): StreamHandle {
  return new StreamCall(call, receiver, deps);
}

/** States: waiting for a worker → open → over. A worker that refuses leads back to waiting. */
class StreamCall implements StreamHandle {
  #call: WorkerCall;
  #receiver: StreamReceiver;
  #signal: AbortSignal;
  #links: WorkerLinks;
  #opened: ClientCall | undefined;
  #over = false;
  #onAbort = (): void => this.cancel();

  constructor(call: WorkerCall, receiver: StreamReceiver, deps: { signal: AbortSignal; links: WorkerLinks }) {
    this.#call = call;
    this.#receiver = receiver;
    this.#signal = deps.signal;
    this.#links = deps.links;
    if (deps.signal.aborted) {
      this.#over = true;
      return;
    }
    deps.signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#start();
  }

  consumed(bytes: number): void {
    this.#opened?.consumed(bytes);
  }

  cancel(farewell?: Farewell): void {
    if (this.#finish() && this.#opened) this.#opened.cancel(farewell);
    else farewell?.(undefined);
  }

  #start(): void {
    const link = this.#links.pick();
    if (link) this.#open(link);
    else void this.#waitForWorker();
  }

  async #waitForWorker(): Promise<void> {
    const until = Math.min(Date.now() + lostAfterMs, this.#call.head.deadlineAt);
    const look = (): WorkerLink | true | undefined => (this.#over ? true : this.#links.pick());
    // Without the signal: its abort ends this call through `cancel`, and the wait at the next change or in 2 s.
    const link = await this.#links.wait(look, { until });
    if (this.#over || link === true) return;
    if (link?.session) this.#open(link);
    else if (link) this.#start();
    else if (this.#finish()) this.#receiver.outcome(errorOutcome(noWorker(), this.#call.head.id));
  }

  #open(link: WorkerLink): void {
    const receiver = this.#receiver;
    this.#opened = link.open(
      { call: this.#call, keepOrphan: false },
      {
        head: (head) => receiver.head(head),
        data: (chunk) => receiver.data(chunk),
        end: (trailer) => {
          if (this.#finish()) receiver.end(trailer);
        },
        over: (result) => this.#ended(result, link),
      },
    );
  }

  #ended(result: CallResult, link: WorkerLink): void {
    if (result.kind === "refused") {
      link.markLeaving();
      this.#start();
    } else if (result.kind === "outcome") {
      if (this.#finish()) this.#receiver.outcome(result.outcome);
    } else if (result.kind === "lost") {
      if (this.#finish()) this.#receiver.lost({ sent: result.sent, begun: result.begun });
    } else if (this.#finish()) {
      this.#receiver.lost({ sent: undefined, begun: false });
    }
  }

  /** False when it was over before. */
  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    return true;
  }
}
