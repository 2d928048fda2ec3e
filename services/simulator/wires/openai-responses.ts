import { composeAnswer } from "../answer/compose-answer.ts";
import { makeId } from "../answer/ids.ts";
import { estimateTokens } from "../answer/tokens.ts";
import { playStream, playWhole, type Exchange } from "../play.ts";
import { plainModel } from "../scenarios.ts";
import { scenarioError } from "./openai/chat-api-error.ts";
import { serveOpenai, type OpenaiCall } from "./openai/serve-openai.ts";
import { encodeResponse, type ResponseHead } from "./openai-responses/encode-response.ts";
import { createResponseEvents } from "./openai-responses/response-events.ts";
import { cacheParts, markedText, readResponsesPrompt } from "./openai-responses/read-responses-prompt.ts";
import { readResponsesRequest, type ResponsesRequest } from "./openai-responses/responses-request.ts";
import type { Wire, WireDeps } from "./wire.ts";

/** OpenAI's Responses, of which nothing is stored, and the count of their input. */
export function createResponsesWire(deps: WireDeps): Wire {
  return serveOpenai(
    {
      handles: (path) => /\/responses(?:\/input_tokens)?$/.test(path),
      read: (body, path) => readResponsesRequest(body, path.endsWith("/input_tokens") ? "count" : "create"),
      markedText,
      play,
    },
    deps,
  );
}

function play(call: OpenaiCall<ResponsesRequest>, exchange: Exchange, deps: WireDeps): void {
  const { request, apiKey } = call;
  const whole = { status: 200, headers: { ...call.headers, "content-type": "application/json" } };
  if (request.operation === "count") {
    const tokens = estimateTokens(cacheParts(request).reduce((sum, { json }) => sum + json.length, 0));
    const body = JSON.stringify({ object: "response.input_tokens", input_tokens: Math.max(1, tokens) });
    playWhole(exchange, { ...whole, body, tokens: 0 });
    return;
  }
  const { scenario, pace } = exchange;
  const composed = composeAnswer(readResponsesPrompt(request), scenario);
  const head: ResponseHead = {
    id: makeId("resp"),
    model: plainModel(request.model),
    createdAt: Math.floor(Date.now() / 1000),
    input: deps.cache.charge(apiKey, cacheParts(request)),
    asked: request.body,
  };
  if (!request.stream) {
    const body = JSON.stringify(encodeResponse(head, composed));
    playWhole(exchange, { ...whole, body, tokens: composed.outputTokens });
    return;
  }
  const events = createResponseEvents(head, composed);
  playStream(exchange, {
    headers: { ...call.headers, "content-type": "text/event-stream; charset=utf-8" },
    frames: events.frames(scenario.chunk ?? pace.tokensPerDelta),
    errorFrame: () => events.error(scenarioError(scenario), scenario.errorBeforeContent === true ? "error" : "failed"),
    completed: () => undefined,
  });
}
