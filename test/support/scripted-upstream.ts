import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A request as it came over the wire. */
export interface RawRequest {
  /** Every byte, head and body. */
  readonly bytes: Buffer;
  readonly method: string;
  readonly path: string;
  /** Lower-case names; a repeated header is joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Names and values in the order and letter case they came in. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** Which connection it came over, 1 for the first. */
  readonly connection: number;
  /** Resolves when its connection is closed, by whichever side. */
  readonly closed: Promise<void>;
}

/** What is done for an answer, one step after the other. Bytes leave exactly as given, each in a write of its own. */
export type Step =
  | Buffer
  | string
  /** Waits so many milliseconds, or for this. */
  | number
  | Promise<unknown>
  | Ending;

interface Ending {
  readonly ending: "reset" | "hang_up" | "stall";
}

/** A TCP reset. */
export const reset: Ending = { ending: "reset" };
/** An orderly end of the connection. */
export const hangUp: Ending = { ending: "hang_up" };
/** Silence for ever. */
export const stall: Ending = { ending: "stall" };

/** The steps that answer a request. */
export type Script = readonly Step[] | ((request: RawRequest) => readonly Step[]);

/** A server on the level of bytes: what an HTTP library would not send can be sent, and cut anywhere. */
export interface ScriptedUpstream {
  readonly url: string;
  readonly port: number;
  /** Every request received in full, in order. */
  readonly requests: readonly RawRequest[];
  readonly openSockets: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Answers the next requests, one each. */
  next(...scripts: Script[]): void;
  /** Answers every request for which nothing is queued. */
  always(script: Script): void;
  /** Forgets requests and scripts. */
  clear(): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const sockets = new Set<Socket>();
  const requests: RawRequest[] = [];
  const queued: Script[] = [];
  let standing: Script = wholeAnswer(500, "{}");
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
    readRequests(socket, connections, (request) => {
      requests.push(request);
      const script = queued.shift() ?? standing;
      void play(typeof script === "function" ? script(request) : script, socket);
    });
  });
  const port = await listen(server);
  const upstream: ScriptedUpstream = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    get openSockets() {
      return sockets.size;
    },
    get connections() {
      return connections;
    },
    next: (...scripts) => void queued.push(...scripts),
    always: (script) => {
      standing = script;
    },
    clear: () => {
      requests.length = 0;
      queued.length = 0;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
    [Symbol.asyncDispose]: () => upstream.close(),
  };
  return upstream;
}

/** A whole answer with its length. */
export function wholeAnswer(
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): readonly Step[] {
  const bytes = Buffer.from(body);
  const all = { "content-type": "application/json", ...headers, "content-length": String(bytes.length) };
  return [Buffer.concat([answerHead(status, all), bytes])];
}

/** Status line and headers. */
export function answerHead(status: number, headers: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status} Scripted\r\n${lines.join("")}\r\n`);
}

/** The head of a chunked event stream; follow it with `chunk(…)` steps and `lastChunk`. */
export function streamHead(headers: Readonly<Record<string, string>> = {}): Buffer {
  const all = { "content-type": "text/event-stream; charset=utf-8", ...headers, "transfer-encoding": "chunked" };
  return answerHead(200, all);
}

export function chunk(bytes: string | Buffer): Buffer {
  const body = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n")]);
}

export const lastChunk: Buffer = Buffer.from("0\r\n\r\n");

async function play(steps: readonly Step[], socket: Socket): Promise<void> {
  for (const step of steps) {
    if (socket.destroyed) return;
    if (typeof step === "number") await sleep(step);
    else if (step instanceof Promise) await step;
    else if (typeof step === "string" || Buffer.isBuffer(step)) await write(socket, step);
    else if (step.ending === "stall") return;
    else if (step.ending === "reset") socket.resetAndDestroy();
    else socket.end();
  }
}

function write(socket: Socket, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}

function readRequests(socket: Socket, connection: number, onRequest: (request: RawRequest) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("data", (data: Buffer) => {
    pending = Buffer.concat([pending, data]);
    for (let taken = takeRequest(pending); taken; taken = takeRequest(pending)) {
      pending = pending.subarray(taken.bytes.length);
      onRequest({ ...taken, connection, closed });
    }
  });
}

/** The first request in the bytes, when all of it is there; bodies need a content-length. */
function takeRequest(bytes: Buffer): Omit<RawRequest, "connection" | "closed"> | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const [requestLine = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const [method = "", path = ""] = requestLine.split(" ");
  const rawHeaders = lines.flatMap((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const headers = joinHeaders(rawHeaders);
  const bodyStart = headEnd + 4;
  const end = bodyStart + Number(headers["content-length"] ?? "0");
  if (bytes.length < end) return undefined;
  const body = Buffer.from(bytes.subarray(bodyStart, end));
  return { bytes: Buffer.from(bytes.subarray(0, end)), method, path, headers, rawHeaders, body };
}

function joinHeaders(rawHeaders: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    const value = rawHeaders[i + 1] ?? "";
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
