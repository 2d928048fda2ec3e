import type { ServerResponse } from "node:http";

import { composeAnswer } from "../answer/compose-answer.ts";
import { makeId } from "../answer/ids.ts";
import { playStream, playWhole, type Exchange } from "../play.ts";
import type { Allowance } from "../rate-limits.ts";
import type { LoggedRequest } from "../request-log.ts";
import { MarkerError, type Scenario } from "../scenario.ts";
import { plainModel } from "../scenarios.ts";
import { ChatApiError, errorDocument, scenarioError } from "./openai/chat-api-error.ts";
import { isJson, readChatRequest, type ChatRequest } from "./openai/chat-request.ts";
import { encodeChunks, encodeCompletion, type ChatHead } from "./openai/encode-chat-answer.ts";
import { cacheParts, markedText, readChatPrompt } from "./openai/read-chat-prompt.ts";
import type { SimulatedRequest, Wire, WireDeps } from "./wire.ts";

interface ChatCall {
  readonly request: ChatRequest;
  readonly apiKey: string;
  readonly headers: Record<string, string>;
}

/** OpenAI's Chat Completions, and those of compatible servers, which show their reasoning. */
export function createOpenaiWire(deps: WireDeps): Wire {
  return {
    handles: (path) => path.endsWith("/chat/completions"),
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
        answer({ request: readCall(request, logged), apiKey, headers }, response, deps);
      } catch (reason) {
        sendError(response, headers, reason);
      } finally {
        deps.log.add(logged);
      }
    },
  };
}

function readCall({ method, body }: SimulatedRequest, logged: LoggedRequest): ChatRequest {
  if (method !== "POST") throw new ChatApiError(405, `Not allowed to ${method} on /v1/chat/completions.`);
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw new ChatApiError(400, "We could not parse the JSON body of your request.");
  }
  if (!isJson(value)) throw new ChatApiError(400, "We could not parse the JSON body of your request.");
  const request = readChatRequest(value);
  const prompt = markedText(request).prompt.slice(0, 200);
  Object.assign(logged, { model: request.model, prompt, stream: request.stream });
  return request;
}

/** Answers one request. Throws ChatApiError or MarkerError before anything is sent. */
function answer(call: ChatCall, response: ServerResponse, deps: WireDeps): void {
  const { request, apiKey } = call;
  const { prompt, system } = markedText(request);
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
  playAnswer({ ...call, headers }, exchange, deps);
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

function playAnswer({ request, apiKey, headers }: ChatCall, exchange: Exchange, deps: WireDeps): void {
  const { scenario, pace } = exchange;
  const composed = composeAnswer(readChatPrompt(request), scenario);
  const head: ChatHead = {
    id: makeId("chatcmpl").replace("_", "-"),
    model: plainModel(request.model),
    created: Math.floor(Date.now() / 1000),
    input: deps.cache.charge(apiKey, cacheParts(request)),
    includeUsage: request.includeUsage,
  };
  if (!request.stream) {
    const body = JSON.stringify(encodeCompletion(head, composed));
    const whole = { ...headers, "content-type": "application/json" };
    playWhole(exchange, { status: 200, headers: whole, body, tokens: composed.outputTokens });
    return;
  }
  playStream(exchange, {
    headers: { ...headers, "content-type": "text/event-stream; charset=utf-8" },
    frames: encodeChunks(head, composed, scenario.chunk ?? pace.tokensPerDelta),
    errorFrame: () => `data: ${errorDocument(scenarioError(scenario))}\n\n`,
    completed: () => undefined,
  });
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
