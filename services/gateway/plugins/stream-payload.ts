import type { IncomingMessage, ServerResponse } from "node:http";
import { GatewayError } from "#shared/messages/error.ts";
import { checkDeclared, checkEveryMs, graceMs, tooLarge, type PayloadLimits } from "./read-payload.ts";

export interface FlowOptions {
  readonly limits: PayloadLimits;
  /** Takes a piece of the body. What it throws ends the reading; nothing comes before what it returns has resolved. */
  readonly consume: (chunk: Buffer) => Promise<void> | undefined;
}

/**
 * Reads a request's body piece by piece, as fast as it is consumed. What is declared too large is refused unread.
 * Resolves at the body's end; rejects with a GatewayError, with what `consume` threw, or with `cancelled` when the
 * caller left.
 */
export function streamPayload(request: IncomingMessage, response: ServerResponse, options: FlowOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = checkDeclared(request, options);
    if (refused) {
      reject(refused);
      return;
    }
    if (request.headers.expect !== undefined) response.writeContinue();
    new PayloadFlow(request, options, { resolve, reject }).start();
  });
}

interface Settlers {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** States: flowing ⇄ held up by its consumer → settled. Once settled it hears nothing more and the request is paused. */
class PayloadFlow {
  readonly #request: IncomingMessage;
  readonly #options: FlowOptions;
  readonly #settlers: Settlers;
  readonly #startedAt = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #heldUpMs = 0;
  #settled = false;

  constructor(request: IncomingMessage, options: FlowOptions, settlers: Settlers) {
    this.#request = request;
    this.#options = options;
    this.#settlers = settlers;
  }

  start(): void {
    this.#timer = setInterval(this.#check, checkEveryMs);
    const request = this.#request;
    request.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onGone).on("close", this.#onGone);
  }

  #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#options.limits.maxBodyBytes) {
      this.#fail(tooLarge(this.#options.limits));
      return;
    }
    try {
      const consumed = this.#options.consume(chunk);
      if (consumed) this.#holdUp(consumed);
    } catch (reason) {
      this.#fail(reason);
    }
  };

  #holdUp(consumed: Promise<void>): void {
    const since = Date.now();
    this.#request.pause();
    consumed.then(
      () => {
        // The caller is not slow while we are.
        this.#heldUpMs += Date.now() - since;
        if (!this.#settled) this.#request.resume();
      },
      (reason: unknown) => this.#fail(reason),
    );
  }

  #onEnd = (): void => {
    if (this.#stop()) this.#settlers.resolve();
  };

  #onGone = (): void => {
    this.#fail(new GatewayError("cancelled", "The caller left before the request was complete."));
  };

  #check = (): void => {
    const { bodyTimeoutMs, minBodyBytesPerSecond } = this.#options.limits;
    const elapsedMs = Date.now() - this.#startedAt;
    const dueBytes = ((elapsedMs - this.#heldUpMs - graceMs) / 1000) * minBodyBytesPerSecond;
    if (elapsedMs >= bodyTimeoutMs || (!this.#request.isPaused() && this.#bytes < dueBytes))
      this.#fail(new GatewayError("request_timeout", "The request's body came too slowly."));
  };

  #fail(reason: unknown): void {
    if (this.#stop()) this.#settlers.reject(reason);
  }

  #stop(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearInterval(this.#timer);
    this.#request.off("data", this.#onData).off("end", this.#onEnd);
    this.#request.off("error", this.#onGone).off("close", this.#onGone);
    this.#request.on("error", ignore).pause();
    return true;
  }
}

function ignore(): void {}
