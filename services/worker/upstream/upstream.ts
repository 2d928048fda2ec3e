import { Pool } from "undici";
import type { Readable } from "node:stream";
import type { UpstreamRequest } from "../adapters/adapter.ts";
import type { Exchange } from "./exchange.ts";

export interface UpstreamOptions {
  /** At most so many sockets; a request beyond that waits for one. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
}

/** The connections to one provider. */
export interface Upstream {
  /** Sends now, or as soon as a connection is free; the exchange may hear of it before this returns. */
  send(request: UpstreamRequest, exchange: Exchange): void;
  /** Destroys every socket. */
  close(): Promise<void>;
}

/** Idle sockets are closed well before the 350 s after which common NAT gateways forget them. */
const keepAliveMs = 60_000;
const longestKeepAliveMs = 120_000;
const tcpKeepAliveMs = 30_000;
/** Below this a copy is cheaper than writing a body in pieces. */
const joinBelowBytes = 256 * 1024;

export function createUpstream(origin: string, options: UpstreamOptions): Upstream {
  const pool = new Pool(origin, {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    connect: { timeout: options.connectTimeoutMs, keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs },
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: longestKeepAliveMs,
    // Exchange keeps the time.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    send: (request, exchange) => {
      const { body, headers } = encodeBody(request);
      pool.dispatch({ method: request.method ?? "POST", path: request.path, headers, body }, exchange);
    },
    close: () => pool.destroy(),
  };
}

function encodeBody(request: UpstreamRequest): {
  readonly body: Buffer | Readable | null;
  readonly headers: string[];
} {
  const pieces = request.body;
  const headers = request.headers as string[];
  if (request.method === "GET") return { body: null, headers };
  const only = pieces[0];
  if (pieces.length === 1 && only) return { body: only, headers };
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (bytes <= joinBelowBytes) return { body: Buffer.concat(pieces, bytes), headers };
  // undici writes any iterable of buffers piece by piece; its types only name streams.
  return { body: pieces as unknown as Readable, headers: [...headers, "content-length", String(bytes)] };
}
