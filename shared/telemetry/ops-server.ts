import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { collectProcessMetrics, registry } from "./metrics.ts";

export interface OpsServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** True, or why the process must not get work. */
  readonly ready: () => true | readonly string[];
  /** More about the process, for /readyz; never secrets. */
  readonly health?: () => object;
}

export interface OpsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `/livez` (200 as long as the event loop turns), `/readyz` (200 or 503 with the reasons) and `/metrics`.
 * Rejects when the port cannot be had.
 */
export async function startOpsServer(options: OpsServerOptions): Promise<OpsServer> {
  collectProcessMetrics();
  const server = createServer((request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "/";
    if (request.method !== "GET" && request.method !== "HEAD")
      return sendJson(response, 405, { status: "wrong method" });
    if (path === "/livez") return sendJson(response, 200, { status: "alive" });
    if (path === "/readyz") return sendReadiness(response, options);
    if (path === "/metrics") return sendMetrics(response);
    return sendJson(response, 404, { status: "not found" });
  });
  server.headersTimeout = 5_000;
  const port = await listen(server, options);
  return { port, close: () => closeServer(server) };
}

function sendReadiness(response: ServerResponse, { ready, health }: OpsServerOptions): void {
  const state = ready();
  const reasons = state === true ? [] : state;
  const status = state === true ? "ready" : "not ready";
  sendJson(response, state === true ? 200 : 503, { status, reasons, ...(health ? { health: health() } : {}) });
}

function sendMetrics(response: ServerResponse): void {
  registry.metrics().then(
    (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
    () => sendJson(response, 500, { status: "metrics failed" }),
  );
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}

function listen(server: Server, { host, port }: OpsServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
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
