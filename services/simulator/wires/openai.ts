import { composeAnswer } from "../answer/compose-answer.ts";
import { makeId } from "../answer/ids.ts";
import { playStream, playWhole, type Exchange } from "../play.ts";
import { plainModel } from "../scenarios.ts";
import { errorDocument, scenarioError } from "./openai/chat-api-error.ts";
import { readChatRequest, type ChatRequest } from "./openai/chat-request.ts";
import { encodeChunks, encodeCompletion, type ChatHead } from "./openai/encode-chat-answer.ts";
import { cacheParts, markedText, readChatPrompt } from "./openai/read-chat-prompt.ts";
import { serveOpenai, type OpenaiCall } from "./openai/serve-openai.ts";
import type { Wire, WireDeps } from "./wire.ts";

/** OpenAI's Chat Completions, and those of compatible servers, which show their reasoning. */
export function createOpenaiWire(deps: WireDeps): Wire {
  return serveOpenai(
    { handles: (path) => path.endsWith("/chat/completions"), read: (body) => readChatRequest(body), markedText, play },
    deps,
  );
}

function play({ request, apiKey, headers }: OpenaiCall<ChatRequest>, exchange: Exchange, deps: WireDeps): void {
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
