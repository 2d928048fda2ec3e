import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import type { ModelInfo } from "#shared/messages/model-info.ts";
import { createBoundState } from "./answer/bound-state.ts";
import { createPromptCache } from "./answer/prompt-cache.ts";
import type { SimulatorConfig } from "./config.ts";
import { createPacer } from "./pacer.ts";
import { createRateLimits } from "./rate-limits.ts";
import { readBody } from "./read-body.ts";
import { createRequestLog, type RequestLog } from "./request-log.ts";
import { createScenarios } from "./scenarios.ts";
import { createAnthropicWire } from "./wires/anthropic/anthropic-wire.ts";
import { createBedrockWire } from "./wires/bedrock.ts";
import { createFoundryWire } from "./wires/foundry.ts";
import { createGeminiWire } from "./wires/gemini.ts";
import { createOpenaiWire } from "./wires/openai.ts";
import { createResponsesWire } from "./wires/openai-responses.ts";
import { createVertexWire } from "./wires/vertex.ts";
import type { Wire } from "./wires/wire.ts";

export interface Simulator {
  readonly url: string;
  readonly inFlight: number;
  /** Takes no new connection and resolves when the answers under way are out, or at once when the signal aborts. */
  drain(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const maxBodyBytes = 32 * 1024 * 1024;

/** Providers for those who have none: each speaks its real wire, on one port. Resolves when it listens. */
export async function startSimulator(config: SimulatorConfig, models: readonly ModelInfo[]): Promise<Simulator> {
  const answering = new Set<ServerResponse>();
  const pacer = createPacer();
  const log = createRequestLog(() => answering.size);
  const deps = {
    ...config,
    pacer,
    log,
    scenarios: createScenarios(),
    cache: createPromptCache(),
    bound: createBoundState(),
    limits: createRateLimits(config.requestsPerMinute),
  };
  // Anthropic's is last: it takes every path that begins with /v1/.
  const wires: readonly Wire[] = [
    createBedrockWire(deps, models),
    createVertexWire(deps, models),
    createFoundryWire(deps, models),
    createGeminiWire(deps),
    createOpenaiWire(deps),
    createResponsesWire(deps),
    createAnthropicWire(deps, models),
  ];
  const server = createServer({ highWaterMark: 262_144, keepAliveTimeout: 75_000 }, (request, response) => {
    answering.add(response);
    response.once("close", () => answering.delete(response));
    route(request, response, { wires, log });
  });
  const port = await listen(server, config);
  return {
    url: `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`,
    get inFlight() {
      return answering.size;
    },
    drain: (signal) => drain(server, signal),
    close: async () => {
      pacer.close();
      await close(server);
    },
  };
}

interface Routing {
  readonly wires: readonly Wire[];
  readonly log: RequestLog;
}

function route(request: IncomingMessage, response: ServerResponse, { wires, log }: Routing): void {
  const url = new URL(request.url ?? "/", "http://simulator");
  if (url.pathname === "/__sim/requests") {
    sendLog(request, response, log);
    return;
  }
  const wire = wires.find((candidate) => candidate.handles(url.pathname));
  readBody(request, maxBodyBytes, (body) => {
    if (wire === undefined || body === undefined) {
      sendRefusal(response, body === undefined ? 413 : 404);
      return;
    }
    const { method = "GET", headers } = request;
    wire.handle({ method, path: url.pathname, query: url.searchParams, headers, body }, response);
  });
}

/** The log holds prompts: it is shown to this machine only. */
function sendLog(request: IncomingMessage, response: ServerResponse, log: RequestLog): void {
  const local = /^(?:::ffff:)?127\.|^::1$/.test(request.socket.remoteAddress ?? "");
  if (!local) {
    response.writeHead(403).end();
    return;
  }
  if (request.method === "DELETE") log.clear();
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(log.report()));
}

function sendRefusal(response: ServerResponse, status: 404 | 413): void {
  const [type, message] =
    status === 404 ? ["not_found_error", "Not found"] : ["request_too_large", "Request exceeds the maximum size"];
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ type: "error", error: { type, message }, request_id: null }));
}

function listen(server: Server, { host, port }: SimulatorConfig): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, 4096, () => resolve((server.address() as AddressInfo).port));
  });
}

function drain(server: Server, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
