import type { ServerResponse } from "node:http";

import { makeId } from "../../answer/ids.ts";
import { playWhole, type Exchange } from "../../play.ts";
import type { Allowance } from "../../rate-limits.ts";
import type { LoggedRequest } from "../../request-log.ts";
import { MarkerError, type Scenario } from "../../scenario.ts";
import type { SimulatedRequest, Wire, WireDeps } from "../wire.ts";
import { ChatApiError, errorDocument, scenarioError } from "./chat-api-error.ts";
import { isObject, type Json } from "../json.ts";

/** What every API here reads out of a body. */
interface OpenaiRequest {
  readonly model: string;
  readonly stream: boolean;
}

/** A request that is let in and not made to fail. */
export interface OpenaiCall<Request> {
  readonly request: Request;
  readonly apiKey: string;
  /** Of the answer, without its content type. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What one of OpenAI's APIs has of its own; keys, limits, errors and faults are the same for all of them. */
export interface OpenaiDialect<Request extends OpenaiRequest> {
  handles(path: string): boolean;
  /** @throws ChatApiError 400 */
  read(body: Json, path: string): Request;
  /** Where markers are looked for. */
  markedText(request: Request): { readonly prompt: string; readonly system: string };
  play(call: OpenaiCall<Request>, exchange: Exchange, deps: WireDeps): void;
}

export function serveOpenai<Request extends OpenaiRequest>(dialect: OpenaiDialect<Request>, deps: WireDeps): Wire {
  return {
    handles: (path) => dialect.handles(path),
    handle(request, response) {
      const apiKey = /^bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
      const { method, path } = request;
      const logged: LoggedRequest = { at: new Date().toISOString(), method, path, apiKey };
      const headers = { "x-request-id": makeId("req"), "openai-version": "2020-10-01", "openai-processing-ms": "1" };
      response.once("close", () => {
        if (response.headersSent) logged.status = response.statusCode;
      });
      try {
        checkKey(apiKey, deps);
        const read = dialect.read(readJson(request), path);
        const prompt = dialect.markedText(read).prompt.slice(0, 200);
        Object.assign(logged, { model: read.model, prompt, stream: read.stream });
        answer(dialect, { request: read, apiKey, headers }, { response, deps });
      } catch (reason) {
        sendError(response, headers, reason);
      } finally {
        deps.log.add(logged);
      }
    },
  };
}

function readJson({ method, path, body }: SimulatedRequest): Json {
  if (method !== "POST") throw new ChatApiError(405, `Not allowed to ${method} on ${path}.`);
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    // Told below.
  }
  if (!isObject(value)) throw new ChatApiError(400, "We could not parse the JSON body of your request.");
  return value;
}

/** Answers one request. Throws ChatApiError or MarkerError before anything is sent. */
function answer<Request extends OpenaiRequest>(
  dialect: OpenaiDialect<Request>,
  call: OpenaiCall<Request>,
  { response, deps }: { readonly response: ServerResponse; readonly deps: WireDeps },
): void {
  const { request, apiKey } = call;
  const { prompt, system } = dialect.markedText(request);
  const scenario = deps.scenarios.pick({ text: `${prompt}\n${system}`, model: request.model, apiKey });
  const exchange: Exchange = { response, scenario, pace: deps.pace, pacer: deps.pacer };
  const allowance = deps.limits.take(apiKey);
  const headers = { ...call.headers, ...limitHeaders(allowance) };
  const failsWhole = !request.stream && (scenario.errorBeforeContent === true || scenario.errorAfter !== undefined);
  if (scenario.status !== undefined || failsWhole) return playError(exchange, scenario, headers);
  if (!allowance.allowed) {
    const retryAfter = String(Math.ceil(allowance.retryAfterMs / 1000));
    return playError(exchange, { status: 429, retryAfter }, headers);
  }
  dialect.play({ ...call, headers }, exchange, deps);
}

function playError(exchange: Exchange, scenario: Scenario, headers: Record<string, string>): void {
  const error = scenarioError(scenario);
  const extra: Record<string, string> = { "content-type": scenario.html ? "text/html" : "application/json" };
  if (scenario.retryAfter !== undefined) extra["retry-after"] = scenario.retryAfter;
  if (scenario.retryAfterMs !== undefined) extra["retry-after-ms"] = scenario.retryAfterMs;
  if (scenario.resetMs !== undefined) {
    extra["x-ratelimit-remaining-requests"] = "0";
    extra["x-ratelimit-reset-requests"] = `${scenario.resetMs}ms`;
  }
  const body = scenario.html ? `<html><body><h1>${error.status}</h1></body></html>` : errorDocument(error);
  playWhole(exchange, { status: error.status, headers: { ...headers, ...extra }, body, tokens: 0 });
}

function limitHeaders({ limit, remaining, resetAt }: Allowance): Record<string, string> {
  return {
    "x-ratelimit-limit-requests": String(limit),
    "x-ratelimit-remaining-requests": String(remaining),
    "x-ratelimit-reset-requests": `${Math.max(0, Math.ceil(resetAt - Date.now()))}ms`,
  };
}

function checkKey(apiKey: string, { keys }: WireDeps): void {
  if (apiKey === "") throw new ChatApiError(401, "You didn't provide an API key.");
  if (keys.length > 0 && !keys.includes(apiKey)) throw new ChatApiError(401);
}

function sendError(response: ServerResponse, headers: Record<string, string>, reason: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const error =
    reason instanceof ChatApiError
      ? reason
      : reason instanceof MarkerError
        ? new ChatApiError(400, `Simulator marker: ${reason.message}`)
        : new ChatApiError(500, `The simulator failed: ${String(reason)}`);
  response.writeHead(error.status, { ...headers, "content-type": "application/json" }).end(errorDocument(error));
}
