import type { ServerResponse } from "node:http";

import { composeAnswer } from "../answer/compose-answer.ts";
import { makeId } from "../answer/ids.ts";
import { playStream, playWhole, type Exchange } from "../play.ts";
import type { LoggedRequest } from "../request-log.ts";
import { MarkerError, type Scenario } from "../scenario.ts";
import { plainModel } from "../scenarios.ts";
import { encodeChunks, encodeWhole, type GeminiHead } from "./gemini/encode-gemini-answer.ts";
import { readGeminiRequest, type GeminiRequest } from "./gemini/gemini-request.ts";
import { errorDocument, errorInfo, GoogleApiError, scenarioError } from "./gemini/google-error.ts";
import { cacheParts, markedText, readGeminiPrompt } from "./gemini/read-gemini-prompt.ts";
import type { SimulatedRequest, Wire, WireDeps } from "./wire.ts";
import { isObject } from "./json.ts";

/** AI Studio's path, and Vertex' for Google's own models. */
const pathPattern =
  /^\/v1(?:alpha|beta1?)?\/(?:models|projects\/[^/]+\/locations\/[^/]+\/publishers\/google\/models)\/([^/]+):(generateContent|streamGenerateContent|countTokens)$/;

type Method = "generateContent" | "streamGenerateContent" | "countTokens";

interface GeminiCall {
  readonly method: Method;
  readonly model: string;
  readonly request: GeminiRequest;
  readonly apiKey: string;
  readonly logged: LoggedRequest;
}

/** Google's models: `generateContent`, streamed as events, and `countTokens`. */
export function createGeminiWire(deps: WireDeps): Wire {
  return {
    handles: (path) => pathPattern.test(path),
    handle(request, response) {
      const apiKey = readKey(request);
      const { method, path } = request;
      const logged: LoggedRequest = { at: new Date().toISOString(), method, path, apiKey };
      response.once("close", () => {
        if (response.headersSent) logged.status = response.statusCode;
      });
      try {
        checkKey(request, apiKey, deps);
        answer(readCall(request, apiKey, logged), response, deps);
      } catch (reason) {
        sendError(response, reason);
      } finally {
        deps.log.add(logged);
      }
    },
  };
}

function readCall(request: SimulatedRequest, apiKey: string, logged: LoggedRequest): GeminiCall {
  const [, encodedModel = "", method = ""] = pathPattern.exec(request.path) ?? [];
  if (request.method !== "POST") throw new GoogleApiError(404);
  const model = decodeURIComponent(encodedModel);
  let body: unknown;
  try {
    body = JSON.parse(request.body.toString());
  } catch {
    throw new GoogleApiError(400, "Invalid JSON payload received.");
  }
  if (!isObject(body)) throw new GoogleApiError(400, "Invalid JSON payload received.");
  if (method === "streamGenerateContent" && request.query.get("alt") !== "sse")
    throw new GoogleApiError(400, "The simulator streams events only: alt=sse");
  return { method: method as Method, model, request: readGeminiRequest(body, plainModel(model)), apiKey, logged };
}

/** Answers one request. Throws GoogleApiError or MarkerError before anything is sent. */
function answer(call: GeminiCall, response: ServerResponse, deps: WireDeps): void {
  const { prompt, system } = markedText(call.request);
  const { model, apiKey, method } = call;
  Object.assign(call.logged, { model, prompt: prompt.slice(0, 200), stream: method === "streamGenerateContent" });
  const scenario = deps.scenarios.pick({ text: `${prompt}\n${system}`, model, apiKey });
  const exchange: Exchange = { response, scenario, pace: deps.pace, pacer: deps.pacer };
  const streams = method === "streamGenerateContent";
  const failsWhole = !streams && (scenario.errorBeforeContent === true || scenario.errorAfter !== undefined);
  if (scenario.status !== undefined || failsWhole) return playError(exchange, scenario);
  const allowance = deps.limits.take(apiKey);
  if (!allowance.allowed)
    return playError(exchange, { status: 429, retryAfter: String(Math.ceil(allowance.retryAfterMs / 1000)) });
  if (method === "countTokens") playCount(call, exchange);
  else playAnswer(call, exchange, deps);
}

function playError(exchange: Exchange, scenario: Scenario): void {
  const error = scenarioError(scenario);
  const headers = { "content-type": scenario.html ? "text/html" : "application/json; charset=UTF-8" };
  const page = `<!DOCTYPE html><html><title>Error ${error.code}</title></html>`;
  playWhole(exchange, { status: error.code, headers, body: scenario.html ? page : errorDocument(error), tokens: 0 });
}

function playCount({ request }: GeminiCall, exchange: Exchange): void {
  const characters = cacheParts(request).reduce((sum, { json }) => sum + json.length, 0);
  const totalTokens = Math.max(1, Math.ceil(characters / 4));
  const body = { totalTokens, promptTokensDetails: [{ modality: "TEXT", tokenCount: totalTokens }] };
  playWhole(exchange, { status: 200, headers: jsonHeaders, body: JSON.stringify(body, null, 2), tokens: 0 });
}

const jsonHeaders = { "content-type": "application/json; charset=UTF-8" };

function playAnswer({ model, method, request, apiKey }: GeminiCall, exchange: Exchange, deps: WireDeps): void {
  const { scenario, pace } = exchange;
  const composed = composeAnswer(readGeminiPrompt(request), scenario);
  const head: GeminiHead = {
    model: plainModel(model),
    responseId: makeId("resp").slice(5),
    input: deps.cache.charge(apiKey, cacheParts(request)),
    signs: /^gemini-[3-9]/.test(model) || composed.thinkingTokens > 0,
  };
  if (method === "generateContent") {
    const body = JSON.stringify(encodeWhole(head, composed), null, 2);
    playWhole(exchange, { status: 200, headers: jsonHeaders, body, tokens: composed.outputTokens });
    return;
  }
  const crlf = scenario.crlf === true;
  playStream(exchange, {
    headers: { "content-type": "text/event-stream" },
    frames: inLines(encodeChunks(head, composed, scenario.chunk ?? pace.tokensPerDelta), crlf),
    errorFrame: () =>
      `data: ${JSON.stringify(JSON.parse(errorDocument(scenarioError(scenario))))}${crlf ? "\n\n" : "\r\n\r\n"}`,
    completed: () => undefined,
  });
}

/** The player makes CRLF of LF where a scenario asks for it; Google's own are CRLF already. */
function* inLines(frames: ReturnType<typeof encodeChunks>, crlf: boolean): ReturnType<typeof encodeChunks> {
  for (const frame of frames) yield crlf ? { ...frame, text: frame.text.replaceAll("\r\n", "\n") } : frame;
}

function readKey({ headers, query }: SimulatedRequest): string {
  const key = headers["x-goog-api-key"];
  const bearer = /^bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
  return (typeof key === "string" && key !== "" ? key : undefined) ?? bearer ?? query.get("key") ?? "";
}

function checkKey({ path }: SimulatedRequest, apiKey: string, { keys }: WireDeps): void {
  const isVertex = path.includes("/projects/");
  if (apiKey === "") {
    if (isVertex) throw new GoogleApiError(401, undefined, [errorInfo("CREDENTIALS_MISSING")]);
    throw new GoogleApiError(403, "Method doesn't allow unregistered callers (callers without established identity).");
  }
  if (keys.length === 0 || keys.includes(apiKey)) return;
  if (isVertex) throw new GoogleApiError(401, undefined, [errorInfo("ACCESS_TOKEN_TYPE_UNSUPPORTED")]);
  throw new GoogleApiError(400, "API key not valid. Please pass a valid API key.", [errorInfo("API_KEY_INVALID")]);
}

function sendError(response: ServerResponse, reason: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const error =
    reason instanceof GoogleApiError
      ? reason
      : reason instanceof MarkerError
        ? new GoogleApiError(400, `Simulator marker: ${reason.message}`)
        : new GoogleApiError(500, `The simulator failed: ${String(reason)}`);
  response.writeHead(error.code, jsonHeaders).end(errorDocument(error));
}
