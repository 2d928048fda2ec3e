import type { IncomingHttpHeaders } from "node:http";

import type { ModelInfo } from "#shared/messages/model-info.ts";
import { composeAnswer } from "../../answer/compose-answer.ts";
import { makeId } from "../../answer/ids.ts";
import type { Frame } from "../../pacer.ts";
import { playStream, playWhole, type Exchange } from "../../play.ts";
import type { Scenario } from "../../scenario.ts";
import { plainModel } from "../../scenarios.ts";
import type { WireDeps } from "../wire.ts";
import { ApiError, scenarioError } from "./api-error.ts";
import { checkRequest } from "./check-request.ts";
import { encodeEvents, encodeMessage, frame, type MessageHead } from "./encode-answer.ts";
import type { MessagesCall } from "./messages-call.ts";
import { toBlocks, textOf, type MessagesRequest } from "./messages-request.ts";
import type { Dialect } from "./dialect.ts";
import { cacheParts, promptText, readPrompt } from "./read-prompt.ts";
import { openThread, type OpenThread } from "./threads.ts";
import { asArray, asObject, isObject } from "../json.ts";

export interface MessagesDeps extends WireDeps {
  readonly models: readonly ModelInfo[];
  readonly dialect: Dialect;
}

/** Most output tokens of a model that is named like one but not in the list. */
const usualMaxTokens = 128_000;

/** Answers one messages or count_tokens request. Throws ApiError or MarkerError before anything is sent. */
export function answerMessages(call: MessagesCall, deps: MessagesDeps): void {
  const { account, response } = call;
  const scenario = pickScenario(call, deps);
  const allowance = deps.limits.take(account.apiKey);
  const headers = deps.dialect.headers(account, allowance);
  const exchange: Exchange = { response, scenario, pace: deps.pace, pacer: deps.pacer };
  if (failsWithStatus(call, scenario)) {
    playFailure(call, exchange, { headers, deps });
    return;
  }
  if (!allowance.allowed) {
    const limited: Scenario = { status: 429, retryAfter: String(Math.ceil(allowance.retryAfterMs / 1000)) };
    playFailure(call, { ...exchange, scenario: limited }, { headers, deps });
    return;
  }
  checkBetas(call, scenario);
  if (call.operation === "count_tokens") playCount(call, exchange, { headers, deps });
  else playMessage(call, exchange, { headers, deps });
}

function pickScenario({ body, account, logged }: MessagesCall, deps: MessagesDeps): Scenario {
  const messages = asArray(body["messages"])
    .filter(isObject)
    .map(({ role, content }) => ({ role: String(role), blocks: toBlocks(content) }));
  const prompt = promptText(messages);
  const model = String(body["model"]);
  Object.assign(logged, { model, prompt: prompt.slice(0, 200), stream: body["stream"] === true });
  const thread = asObject(body["thread"])["type"];
  if (typeof thread === "string") Object.assign(logged, { thread });
  return deps.scenarios.pick({ text: `${prompt}\n${textOf(toBlocks(body["system"]))}`, model, apiKey: account.apiKey });
}

/** An error inside a stream is a status for a whole answer. */
function failsWithStatus({ body, operation }: MessagesCall, scenario: Scenario): boolean {
  if (scenario.status !== undefined) return true;
  const streams = body["stream"] === true && operation === "messages";
  return !streams && (scenario.errorBeforeContent === true || scenario.errorAfter !== undefined);
}

function playFailure({ account }: MessagesCall, exchange: Exchange, { headers, deps }: Prepared): void {
  const { scenario } = exchange;
  const { status, error } = scenarioError(scenario);
  const answer = deps.dialect.error(status, error, account);
  const hints = deps.dialect.hints ? hintsOf(scenario) : {};
  const told = scenario.html
    ? { status, headers: { "content-type": "text/html" }, body: `<html><body><h1>${status}</h1></body></html>` }
    : answer;
  playWhole(exchange, { ...told, headers: { ...headers, ...hints, ...told.headers }, tokens: 0 });
}

function hintsOf(scenario: Scenario): Record<string, string> {
  const extra: Record<string, string> = {};
  if (scenario.retryAfter !== undefined) extra["retry-after"] = scenario.retryAfter;
  if (scenario.retryAfterMs !== undefined) extra["retry-after-ms"] = scenario.retryAfterMs;
  if (scenario.shouldRetry !== undefined) extra["x-should-retry"] = scenario.shouldRetry;
  if (scenario.resetMs !== undefined) {
    extra["anthropic-ratelimit-requests-remaining"] = "0";
    extra["anthropic-ratelimit-requests-reset"] = new Date(Date.now() + scenario.resetMs).toISOString();
  }
  return extra;
}

function checkBetas({ headers }: MessagesCall, { refusedBeta }: Scenario): void {
  if (refusedBeta !== undefined && readBetas(headers).has(refusedBeta))
    throw new ApiError(
      400,
      `Unexpected value(s) \`${refusedBeta}\` for the \`anthropic-beta\` header. Please consult our documentation or try again without the header.`,
    );
}

interface Prepared {
  readonly headers: Record<string, string>;
  readonly deps: MessagesDeps;
}

function playCount(call: MessagesCall, exchange: Exchange, { headers, deps }: Prepared): void {
  const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens } = deps.cache.charge(
    `${call.account.requestId} is never seen again`,
    cacheParts(check(call, undefined, deps)),
  );
  const count = input_tokens + cache_creation_input_tokens + cache_read_input_tokens;
  const body = JSON.stringify(deps.dialect.count(Math.max(1, count)));
  playWhole(exchange, { status: 200, headers: { ...headers, "content-type": "application/json" }, body, tokens: 0 });
}

function playMessage(call: MessagesCall, exchange: Exchange, { headers, deps }: Prepared): void {
  const thread = openThread(call, readBetas(call.headers), deps.bound);
  exchange.response.once("close", () => thread?.release());
  const request = check(call, thread, deps);
  const { scenario, pace } = exchange;
  const answer = composeAnswer(readPrompt(request), scenario);
  const head: MessageHead = {
    id: makeId("msg"),
    model: plainModel(request.model),
    input: deps.cache.charge(call.account.apiKey, cacheParts(request)),
    container: useContainer(call, deps),
    ...("context_management" in request.body ? { contextManagement: { applied_edits: [] } } : {}),
  };
  const whole = encodeMessage(head, answer);
  const completed = (): void => thread?.store(head.id, request, whole["content"]);
  if (request.stream) {
    const { dialect } = deps;
    playStream(exchange, {
      headers: { ...headers, "content-type": dialect.streamType, "cache-control": "no-cache" },
      frames: inDialect(encodeEvents(head, answer, scenario.chunk ?? pace.tokensPerDelta), dialect),
      errorFrame: () => dialect.frame(frame({ type: "error", ...errorOf(scenario) }, 0).text),
      encoding: dialect.encoding,
      completed,
    });
    return;
  }
  completed();
  playWhole(exchange, {
    status: 200,
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(whole),
    tokens: answer.outputTokens,
  });
}

function* inDialect(frames: Iterable<Frame>, dialect: Dialect): Generator<Frame, void> {
  for (const { text, tokens } of frames) yield { text: dialect.frame(text), tokens };
}

function errorOf(scenario: Scenario): { readonly error: unknown } {
  return { error: scenarioError(scenario).error };
}

function check(call: MessagesCall, thread: OpenThread | undefined, deps: MessagesDeps): MessagesRequest {
  const body = thread ? { ...call.body, ...thread.settings } : call.body;
  return checkRequest(body, {
    version: call.account.version,
    betas: readBetas(call.headers),
    operation: call.operation,
    history: thread?.history ?? [],
    maxTokensOf: (model) => {
      const name = plainModel(model);
      const known = deps.models.find(({ id }) => id === name);
      return known ? (known.max_tokens ?? usualMaxTokens) : /^(?:claude|sim)-/.test(name) ? usualMaxTokens : undefined;
    },
  });
}

/** A container is made when the call asks for one, and found again only at the account that made it. */
function useContainer({ body, account }: MessagesCall, { bound }: MessagesDeps): MessageHead["container"] {
  const asked = body["container"];
  if (asked === undefined || asked === null) return null;
  const id = typeof asked === "string" ? asked : asObject(asked)["id"];
  const known = typeof id === "string" ? id : undefined;
  if (known !== undefined && !bound.hasContainer(account.apiKey, known))
    throw new ApiError(404, `Container ${known} not found.`);
  const container = known ?? makeId("container");
  bound.storeContainer(account.apiKey, container);
  return { id: container, expires_at: new Date(Date.now() + 300_000).toISOString() };
}

function readBetas(headers: IncomingHttpHeaders): Set<string> {
  return new Set(
    String(headers["anthropic-beta"] ?? "")
      .split(",")
      .map((beta) => beta.trim()),
  );
}
