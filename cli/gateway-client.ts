import { setTimeout as sleep } from "node:timers/promises";
import type { FoundGateway } from "./find-gateway.ts";
import { UsageError } from "./usage-error.ts";

interface FailureOptions extends ErrorOptions {
  readonly wayOut?: string;
}

/** The gateway said no, or could not be asked. `status` 0: there was no answer. */
export class GatewayFailure extends Error {
  readonly status: number;
  /** What to do about it, in a line of its own. */
  readonly wayOut: string | undefined;

  constructor(status: number, message: string, options: FailureOptions = {}) {
    super(message, options);
    this.status = status;
    this.wayOut = options.wayOut;
  }
}

export interface GatewayClient {
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string, body?: AsyncIterable<Uint8Array>): Promise<Answer>;
  /** The answer's bytes as they come. */
  read(path: string): Promise<AsyncIterable<Uint8Array>>;
}

export interface GatewayOptions extends FoundGateway {
  readonly signal: AbortSignal;
  /** First pause after a failed look; 500 ms if absent. */
  readonly retryMs?: number;
}

type Request = Pick<RequestInit, "method"> & { readonly body?: AsyncIterable<Uint8Array> };

interface Connection extends GatewayOptions {
  /** Whether anybody has answered yet. */
  isMet: boolean;
}

/** Looking costs nothing, so it is tried so often; what changes something is asked once. */
const tries = 7;
const longestRetryMs = 10_000;

export function createGatewayClient(options: GatewayOptions): GatewayClient {
  const connection = { ...options, isMet: false };
  return {
    get: async <Answer>(path: string) => (await readJson(await look(path, connection), connection)) as Answer,
    post: async <Answer>(path: string, body?: AsyncIterable<Uint8Array>) => {
      const request: Request = { method: "POST", ...(body ? { body } : {}) };
      return (await readJson(await ask(path, request, connection), connection)) as Answer;
    },
    read: async (path) => (await look(path, connection)).body ?? emptyBody(),
  };
}

async function look(path: string, connection: Connection): Promise<Response> {
  let pauseMs = connection.retryMs ?? 500;
  for (let left = tries - 1; ; left -= 1) {
    try {
      return await ask(path, { method: "GET" }, connection);
    } catch (reason) {
      if (left === 0 || !isPassing(reason, connection)) throw reason;
      await sleep(pauseMs, undefined, { signal: connection.signal });
      pauseMs = Math.min(longestRetryMs, pauseMs * 2);
    }
  }
}

/** A failure that may be over in a moment. Where nobody has answered yet the address is at fault: that is said at once. */
function isPassing(reason: unknown, { isMet }: Connection): boolean {
  if (!(reason instanceof GatewayFailure)) return false;
  return reason.status === 0 ? isMet : reason.status === 429 || reason.status >= 500;
}

async function ask(path: string, request: Request, connection: Connection): Promise<Response> {
  const { url, key, signal } = connection;
  const headers = { "x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json" };
  const init = { ...request, headers, signal, duplex: "half" } as RequestInit;
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, init);
  } catch (reason) {
    if (signal.aborted) throw signal.reason;
    throw unreachable(reason, connection);
  }
  connection.isMet = true;
  if (!response.ok) throw await refusal(response, connection);
  return response;
}

/** What the reader of the body throws is the file's fault, not the gateway's. */
function unreachable(reason: unknown, { url, advice }: Connection): Error {
  const cause = reason instanceof Error ? reason.cause : undefined;
  if (cause instanceof UsageError) return cause;
  const message = `no answer from ${url}: ${describeCause(cause ?? reason)}`;
  return new GatewayFailure(0, message, { cause: reason, wayOut: advice.unreachable });
}

const wordsOfCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "its host's name could not be looked up",
  UND_ERR_SOCKET: "the connection was closed",
  ECONNRESET: "the connection was closed",
};

function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
  if (code === undefined) return cause.message === "bad port" ? "no HTTP client calls that port" : cause.message;
  const words = code.startsWith("ERR_SSL") ? "it does not speak TLS; is it http://?" : wordsOfCode[code];
  return words === undefined ? code : `${words} (${code})`;
}

/** The words of the envelope, with what is needed to ask about it. */
async function refusal(response: Response, { url, advice }: Connection): Promise<GatewayFailure> {
  const { status } = response;
  const text = await response.text().catch(() => "");
  const id = response.headers.get("request-id");
  try {
    const { error } = JSON.parse(text) as { error: { type: string; message: string } };
    const message = `${status} ${error.type}: ${error.message}${id === null ? "" : ` (request ${id})`}`;
    return new GatewayFailure(status, message, status === 401 ? { wayOut: advice.keyRefused } : {});
  } catch {
    const message = `${status} ${response.statusText}`.trim();
    return new GatewayFailure(status, `${message} from ${url}`, { wayOut: advice.stranger });
  }
}

async function readJson(response: Response, connection: Connection): Promise<unknown> {
  const { url, advice, signal } = connection;
  try {
    return await response.json();
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (!(cause instanceof SyntaxError)) throw unreachable(cause, connection);
    const message = `${response.status} from ${url}, but no JSON`;
    throw new GatewayFailure(response.status, message, { cause, wayOut: advice.stranger });
  }
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {
  // Nothing.
}
