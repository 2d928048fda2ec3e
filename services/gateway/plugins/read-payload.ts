import type { IncomingMessage, ServerResponse } from "node:http";
import { GatewayError } from "#shared/messages/error.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { BodyBudget } from "./body-budget.ts";

export interface PayloadLimits {
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
  readonly minBodyBytesPerSecond: number;
}

export interface PayloadOptions {
  readonly limits: PayloadLimits;
  readonly budget: BodyBudget;
}

/** How long a body may be slower than the least rate: a connection needs a while to get up to speed. */
export const graceMs = 5000;
export const checkEveryMs = 1000;

/**
 * Reads a request's body: as large, as fast and as much beside other bodies as the limits allow. What is declared too
 * large is refused unread. Resolves with the bytes, which stay taken from the budget: the caller gives them back.
 * Rejects with a GatewayError (`request_too_large`, `request_timeout`, `overloaded`, `invalid_request`) or `cancelled`
 * when the caller left.
 */
export function readPayload(
  request: IncomingMessage,
  response: ServerResponse,
  options: PayloadOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const refused = checkDeclared(request, options);
    if (refused) {
      reject(refused);
      return;
    }
    if (request.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
    const reading = new PayloadReading(request, options, { resolve, reject });
    reading.start();
  });
}

/** Why a body is refused before a byte of it is read. */
export function checkDeclared(
  request: IncomingMessage,
  { limits }: Pick<PayloadOptions, "limits">,
): GatewayError | undefined {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "identity")
    return new GatewayError("invalid_request", `content-encoding: ${encoding} is not supported.`, {
      details: { error_code: "request_body_encoding_unsupported" },
      where: "content-encoding",
    });
  const declared = declaredBytes(request);
  return declared !== undefined && declared > limits.maxBodyBytes ? tooLarge(limits) : undefined;
}

function declaredBytes(request: IncomingMessage): number | undefined {
  const header = request.headers["content-length"];
  return header === undefined ? undefined : Number(header);
}

interface Settlers {
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: GatewayError) => void;
}

/** States: reading → settled. Once settled it hears nothing more and the request is paused. */
class PayloadReading {
  readonly #request: IncomingMessage;
  readonly #options: PayloadOptions;
  readonly #settlers: Settlers;
  readonly #startedAt = Date.now();
  readonly #chunks: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #taken = 0;

  constructor(request: IncomingMessage, options: PayloadOptions, settlers: Settlers) {
    this.#request = request;
    this.#options = options;
    this.#settlers = settlers;
  }

  start(): void {
    const request = this.#request;
    const declared = declaredBytes(request);
    if (declared !== undefined && !this.#take(declared)) return;
    // Whoever left while it was found out who asks will not be heard leaving.
    if (request.destroyed) {
      this.#onGone();
      return;
    }
    this.#timer = setInterval(this.#check, checkEveryMs);
    request.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onGone).on("close", this.#onGone);
  }

  #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#options.limits.maxBodyBytes) {
      this.#fail(tooLarge(this.#options.limits));
      return;
    }
    if (this.#bytes > this.#taken && !this.#take(this.#bytes - this.#taken)) return;
    this.#chunks.push(chunk);
  };

  #onEnd = (): void => {
    this.#stop();
    const [first] = this.#chunks;
    // A single chunk of a small body is a slice of a 64 KiB read buffer, which would stay in memory with it.
    const alone = this.#chunks.length === 1 && first !== undefined && first.length * 2 > first.buffer.byteLength;
    this.#settlers.resolve(alone ? first : Buffer.concat(this.#chunks, this.#bytes));
  };

  #onGone = (): void => {
    this.#fail(new GatewayError("cancelled", "The caller left before the request was complete."));
  };

  #check = (): void => {
    const { bodyTimeoutMs, minBodyBytesPerSecond } = this.#options.limits;
    const elapsedMs = Date.now() - this.#startedAt;
    const dueBytes = ((elapsedMs - graceMs) / 1000) * minBodyBytesPerSecond;
    if (elapsedMs >= bodyTimeoutMs || this.#bytes < dueBytes)
      this.#fail(new GatewayError("request_timeout", "The request's body came too slowly."));
  };

  #take(bytes: number): boolean {
    if (this.#options.budget.take(bytes)) {
      this.#taken += bytes;
      return true;
    }
    metrics.shedTotal.inc({ reason: "bytes" });
    this.#fail(new GatewayError("overloaded", "The gateway holds too many request bytes.", { retryAfterS: 1 }));
    return false;
  }

  #fail(error: GatewayError): void {
    this.#stop();
    this.#options.budget.give(this.#taken);
    this.#settlers.reject(error);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#request.off("data", this.#onData).off("end", this.#onEnd);
    this.#request.off("error", this.#onGone).off("close", this.#onGone);
    this.#request.on("error", ignore).pause();
  }
}

function ignore(): void {}

export function tooLarge(limits: PayloadLimits): GatewayError {
  const mebibytes = limits.maxBodyBytes / 1_048_576;
  return new GatewayError("request_too_large", `Request exceeds the maximum size of ${mebibytes} MiB.`);
}
