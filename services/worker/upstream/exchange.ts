import type { Dispatcher } from "undici";
import type { UpstreamHead } from "../adapters/adapter.ts";

/** Why an exchange ended without a whole answer. */
export interface ExchangeFailure {
  readonly kind: "connect_failed" | "reset" | "expired" | "aborted";
  /** Whether a byte may have reached the provider. False means: nothing was sent, nothing can be charged. */
  readonly sent: boolean;
  /** An error code or a phrase of ours; for `expired` the name that was given with the limit, or `idle`. */
  readonly detail: string;
}

/** Is told what happens, in order: sent, head, data*, then end or failed, exactly once. */
export interface ExchangeReceiver {
  /** The request is being written. */
  sent(): void;
  head(head: UpstreamHead): void;
  data(chunk: Buffer): void;
  end(): void;
  failed(failure: ExchangeFailure): void;
}

const neverMs = Number.POSITIVE_INFINITY;
/** Timers are set to full steps of this, so that Node keeps few timer lists; what is left is waited for exactly. */
const timerStepMs = 500;
const longestTimerMs = 2 ** 31 - 1;

/**
 * One request to a provider and its answer; undici's handler. Never retries.
 * States: waiting (no connection yet, nothing sent) → sent → answered (status line seen) → over.
 * Time is kept here and not by undici, whose limits of 300 s would cut long answers: an instant that may be moved, and
 * an idle limit by bytes.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #receiver: ExchangeReceiver;
  #state: "waiting" | "sent" | "answered" | "over" = "waiting";
  #controller: Dispatcher.DispatchController | undefined;
  #paused = false;
  #expiresAt = neverMs;
  #idleMs = neverMs;
  #lastByteAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = neverMs;
  #expiry = "";
  #askLater: LaterInstant | undefined;

  constructor(receiver: ExchangeReceiver) {
    this.#receiver = receiver;
  }

  /** Whether a byte may have reached the provider. */
  get isSent(): boolean {
    return this.#controller !== undefined;
  }

  /** Ends the exchange at this instant (milliseconds since the epoch), as `expired` with this detail. Replaces an earlier one. */
  expireAt(at: number, detail: string): void {
    this.#expiresAt = at;
    this.#expiry = detail;
    this.#askLater = undefined;
    this.#arm();
  }

  /** As `expireAt`, but when the time has come asks whether it has moved. */
  expireUnlessLater(at: number, detail: string, askLater: LaterInstant): void {
    this.expireAt(at, detail);
    this.#askLater = askLater;
  }

  /** From now on the exchange also ends when no byte came for so long; a pause of ours does not count. */
  limitIdle(idleMs: number): void {
    this.#idleMs = idleMs;
    this.#lastByteAt = Date.now();
    this.#arm();
  }

  /** Stops reading from the provider's socket. */
  pause(): void {
    if (this.#state === "over") return;
    this.#paused = true;
    this.#controller?.pause();
  }

  resume(): void {
    if (!this.#paused || this.#state === "over") return;
    this.#paused = false;
    this.#lastByteAt = Date.now();
    this.#controller?.resume();
  }

  /** Destroys the socket to the provider at once; the receiver hears `aborted`. A no-op when the exchange is over. */
  abort(detail: string): void {
    this.#fail("aborted", detail);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // undici takes what is thrown here as: do not write this request, keep the connection.
    if (this.#state === "over") throw new Error("the exchange was given up before it was sent");
    this.#controller = controller;
    this.#state = "sent";
    this.#receiver.sent();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: RawHeaders): void {
    if (this.#state === "over" || status < 200) return;
    this.#state = "answered";
    this.#lastByteAt = Date.now();
    this.#receiver.head({ status, headers: joinRepeated(headers) });
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === "over") return;
    this.#lastByteAt = Date.now();
    this.#receiver.data(chunk);
  }

  onResponseEnd(): void {
    if (this.#state === "over") return;
    this.#close();
    this.#receiver.end();
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#state === "over") return;
    this.#fail(this.isSent ? "reset" : "connect_failed", describe(error));
  }

  #fail(kind: ExchangeFailure["kind"], detail: string): void {
    if (this.#state === "over") return;
    const sent = this.isSent;
    this.#close();
    // Before a controller exists the request waits for a connection; onRequestStart turns it away later.
    if (kind === "aborted" || kind === "expired") this.#controller?.abort(new Error(detail));
    this.#receiver.failed({ kind, sent, detail });
  }

  #close(): void {
    this.#state = "over";
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = neverMs;
  }

  /** The timer only ever fires too early: moving a limit later, as every byte does, costs no timer. */
  #arm(): void {
    const dueAt = this.#dueAt();
    if (this.#state === "over" || dueAt >= this.#timerAt || dueAt === neverMs) return;
    clearTimeout(this.#timer);
    const leftMs = Math.min(Math.max(0, dueAt - Date.now()), longestTimerMs);
    const delayMs = leftMs > 4 * timerStepMs ? leftMs - (leftMs % timerStepMs) : leftMs;
    this.#timerAt = dueAt;
    this.#timer = setTimeout(onTimer, delayMs, this);
  }

  #dueAt(): number {
    return Math.min(this.#expiresAt, this.#paused ? Date.now() + this.#idleMs : this.#lastByteAt + this.#idleMs);
  }

  #expire(): void {
    const [askLater, detail] = [this.#askLater, this.#expiry];
    if (!askLater) return this.#fail("expired", detail);
    // Meanwhile nothing expires.
    this.#askLater = undefined;
    this.#expiresAt = neverMs;
    void askLater().then((at) => {
      if (at !== undefined && at > Date.now()) this.expireUnlessLater(at, detail, askLater);
      else this.#fail("expired", detail);
    });
  }

  /** What the timer runs. */
  checkTime(): void {
    this.#timerAt = neverMs;
    const now = Date.now();
    if (now >= this.#expiresAt) this.#expire();
    else if (!this.#paused && now >= this.#lastByteAt + this.#idleMs) this.#fail("expired", "idle");
    else this.#arm();
  }
}

/** A later instant at which an exchange is to end, if there is one. Never rejects. */
export type LaterInstant = () => Promise<number | undefined>;

function onTimer(exchange: Exchange): void {
  exchange.checkTime();
}

type RawHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>[2];

/** A header that came more than once becomes one, as HTTP allows. */
function joinRepeated(headers: RawHeaders): Record<string, string> {
  const joined: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) joined[name] = typeof value === "string" ? value : value.join(", ");
  }
  return joined;
}

/** The code names the fault; a message may hold addresses and more. */
function describe(error: Error): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0] as Error);
  const code: unknown = "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : error.name;
}
