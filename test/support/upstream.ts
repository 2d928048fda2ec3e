import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import { errorBody, messageBody, streamText } from "./wire-samples.ts";

/** A request as a provider received it. */
export interface ReceivedRequest {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The text of the last message, by which a test knows its own calls. */
  readonly prompt: string;
  readonly stream: boolean;
  readonly model: string;
  /** Resolves when the connection or the answer has ended, with whether the answer was complete. */
  readonly closed: Promise<boolean>;
}

/** One request to be answered. */
export interface Exchange {
  readonly request: ReceivedRequest;
  readonly response: ServerResponse;
  readonly socket: Socket;
  json(status: number, body: unknown, headers?: Readonly<Record<string, string>>): void;
  /** An error in Anthropic's envelope, its type by the status unless it is given. */
  error(status: number, options?: ErrorAnswer): void;
  /** A whole Message with this text. */
  message(text: string): void;
  /** Opens an event stream; what is written afterwards goes out as it is. */
  openStream(headers?: Readonly<Record<string, string>>): ServerResponse;
  /** A complete stream with this text. */
  stream(text: string): void;
  /** Breaks the connection with a reset. */
  reset(): void;
}

export interface ErrorAnswer {
  readonly type?: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler = (exchange: Exchange) => void | Promise<void>;

/** A provider over TCP that speaks Anthropic's wire and does what the test says. */
export interface Upstream {
  readonly url: string;
  /** Every request received since `clear`, in order of arrival. */
  readonly requests: readonly ReceivedRequest[];
  readonly openSockets: number;
  /** Answers every request from now on; without one the last user text comes back as `echo: …`. */
  onRequest(handler: Handler | undefined): void;
  /** Answers the next requests, one each, before `onRequest` is asked again. */
  next(...handlers: readonly Handler[]): void;
  /** The requests whose prompt is this text. */
  with(prompt: string): ReceivedRequest[];
  /** Forgets requests and handlers. */
  clear(): void;
  /** Refuses connections, and takes them again on the same port. */
  stopListening(): Promise<void>;
  startListening(): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const requests: ReceivedRequest[] = [];
  const queued: Handler[] = [];
  let handler: Handler | undefined;
  let port = 0;

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const received = receive({ method, path: url, headers, body: Buffer.concat(chunks) }, response);
      requests.push(received);
      const answer = queued.shift() ?? handler ?? echo;
      void Promise.resolve(answer(createExchange(received, response))).catch((reason: unknown) => {
        response.destroy(reason instanceof Error ? reason : new Error(String(reason)));
      });
    });
    request.on("error", () => {});
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });

  const upstream: Upstream = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    requests,
    get openSockets() {
      return sockets.size;
    },
    onRequest(next) {
      handler = next;
    },
    next: (...handlers) => void queued.push(...handlers),
    with: (prompt) => requests.filter((request) => request.prompt === prompt),
    clear() {
      requests.length = 0;
      queued.length = 0;
      handler = undefined;
    },
    stopListening: () => closeServer(server),
    startListening: async () => {
      port = await listen(server, port);
    },
    close: () => (server.listening ? closeServer(server) : Promise.resolve()),
    [Symbol.asyncDispose]: () => upstream.close(),
  };
  await upstream.startListening();
  return upstream;
}

/** Gives back the last user text: whole, streamed, or counted. */
export const echo: Handler = (exchange) => {
  const { path, prompt, stream } = exchange.request;
  if (path.startsWith("/v1/messages/count_tokens")) exchange.json(200, { input_tokens: Math.max(1, prompt.length) });
  else if (stream) exchange.stream(`echo: ${prompt}`);
  else exchange.message(`echo: ${prompt}`);
};

function receive(
  request: Pick<ReceivedRequest, "method" | "path" | "headers" | "body">,
  response: ServerResponse,
): ReceivedRequest {
  const body = parse(request.body);
  return {
    ...request,
    at: performance.now(),
    prompt: promptOf(body.messages ?? []),
    stream: body.stream === true,
    model: body.model ?? "",
    closed: new Promise((resolve) => response.once("close", () => resolve(response.writableFinished))),
  };
}

interface Body {
  readonly model?: string;
  readonly stream?: boolean;
  readonly messages?: readonly { readonly content: string | readonly { readonly text?: string }[] }[];
}

function parse(bytes: Buffer): Body {
  try {
    return JSON.parse(bytes.toString()) as Body;
  } catch {
    return {};
  }
}

function promptOf(messages: NonNullable<Body["messages"]>): string {
  const content = messages.at(-1)?.content ?? "";
  return typeof content === "string" ? content : (content.findLast(({ text }) => text !== undefined)?.text ?? "");
}

let answered = 0;

function createExchange(request: ReceivedRequest, response: ServerResponse): Exchange {
  const requestId = `req_upstream_${++answered}`;
  const socket = response.socket as Socket;
  const send = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): void => {
    const all = { "content-type": "application/json", "request-id": requestId, ...headers };
    response.writeHead(status, { ...all, "content-length": String(Buffer.byteLength(body)) }).end(body);
  };
  const exchange: Exchange = {
    request,
    response,
    socket,
    json: (status, body, headers) => send(status, JSON.stringify(body), headers),
    error: (status, options = {}) =>
      send(status, JSON.stringify(errorBody(status, { ...options, requestId })), options.headers),
    message: (text) => send(200, JSON.stringify(messageBody(text, request.model))),
    openStream: (headers = {}) => {
      const all = { "content-type": "text/event-stream; charset=utf-8", "request-id": requestId, ...headers };
      response.writeHead(200, all).flushHeaders();
      return response;
    },
    stream: (text) => void exchange.openStream().end(streamText(text, request.model)),
    reset: () => void socket.resetAndDestroy(),
  };
  return exchange;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", 4096, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
