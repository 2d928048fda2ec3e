import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "./usage-error.ts";

/** The gateway said no, or could not be asked. `status` 0: there was no answer. */
export class GatewayFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export interface GatewayClient {
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string, body?: AsyncIterable<Uint8Array>): Promise<Answer>;
  /** The answer's bytes as they come. */
  read(path: string): Promise<AsyncIterable<Uint8Array>>;
}

export interface GatewayOptions {
  readonly url: string;
  readonly key: string;
  readonly signal: AbortSignal;
  /** First pause after a failed look; 500 ms if absent. */
  readonly retryMs?: number;
}

type Request = Pick<RequestInit, "method"> & { readonly body?: AsyncIterable<Uint8Array> };

/** Looking costs nothing, so it is tried so often; what changes something is asked once. */
const tries = 7;
const longestRetryMs = 10_000;

export function createGatewayClient(options: GatewayOptions): GatewayClient {
  return {
    get: async <Answer>(path: string) => (await (await look(path, options)).json()) as Answer,
    post: async <Answer>(path: string, body?: AsyncIterable<Uint8Array>) => {
      const request: Request = { method: "POST", ...(body ? { body } : {}) };
      return (await (await ask(path, request, options)).json()) as Answer;
    },
    read: async (path) => (await look(path, options)).body ?? emptyBody(),
  };
}

async function look(path: string, options: GatewayOptions): Promise<Response> {
  let pauseMs = options.retryMs ?? 500;
  for (let left = tries - 1; ; left -= 1) {
    try {
      return await ask(path, { method: "GET" }, options);
    } catch (reason) {
      if (left === 0 || !isPassing(reason)) throw reason;
      await sleep(pauseMs, undefined, { signal: options.signal });
      pauseMs = Math.min(longestRetryMs, pauseMs * 2);
    }
  }
}

/** A failure that may be over in a moment. */
function isPassing(reason: unknown): boolean {
  return reason instanceof GatewayFailure && (reason.status === 0 || reason.status === 429 || reason.status >= 500);
}

async function ask(path: string, request: Request, { url, key, signal }: GatewayOptions): Promise<Response> {
  const headers = { "x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json" };
  const init = { ...request, headers, signal, duplex: "half" } as RequestInit;
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, init);
  } catch (reason) {
    if (signal.aborted) throw signal.reason;
    throw unreachable(url, reason);
  }
  if (!response.ok) throw new GatewayFailure(response.status, await readError(response));
  return response;
}

/** What the reader of the body throws is the file's fault, not the gateway's. */
function unreachable(url: string, reason: unknown): Error {
  const cause = reason instanceof Error ? reason.cause : undefined;
  if (cause instanceof UsageError) return cause;
  return new GatewayFailure(0, `no answer from ${url}: ${describeCause(cause ?? reason)}`, { cause: reason });
}

function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}

/** The words of the envelope, with what is needed to ask about it. */
async function readError(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  const id = response.headers.get("request-id");
  try {
    const { error } = JSON.parse(text) as { error: { type: string; message: string } };
    return `${response.status} ${error.type}: ${error.message}${id === null ? "" : ` (request ${id})`}`;
  } catch {
    return `${response.status} ${response.statusText}`.trim();
  }
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {
  // Nothing.
}
