import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { Operation } from "#shared/messages/call.ts";
import { createBoundState } from "../../services/simulator/answer/bound-state.ts";
import { createPromptCache } from "../../services/simulator/answer/prompt-cache.ts";
import { createPacer } from "../../services/simulator/pacer.ts";
import { createRateLimits } from "../../services/simulator/rate-limits.ts";
import { readBody as readRequest } from "../../services/simulator/read-body.ts";
import { createRequestLog } from "../../services/simulator/request-log.ts";
import { createScenarios } from "../../services/simulator/scenarios.ts";
import { createOpenaiWire } from "../../services/simulator/wires/openai.ts";
import { createResponsesWire } from "../../services/simulator/wires/openai-responses.ts";
import type { Adapter, DecodeContext, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createVoice } from "../../services/worker/adapters/registry.ts";
import { readStream } from "../../services/worker/adapters/translate/stream-grammar.ts";

type Body = Readonly<Record<string, unknown>>;

export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** Everything in which the vendor's SDK and we differ; what is not named here is equal. */
const differences = {
  headers: {
    "user-agent": "names the SDK, which we are not",
    "accept-encoding": "identity: what is decoded as it comes must not be compressed",
    accept: "the SDK asks streams for JSON too; servers go by the body",
    "accept-language": "fetch adds it",
    "sec-fetch-mode": "fetch adds it",
    connection: "the connection's affair",
    host: "the connection's affair",
    "content-length": "the connection's affair",
    "transfer-encoding": "the connection's affair",
  },
  /** `x-stainless-*`: telemetry of the SDK. */
  headerPrefix: "x-stainless-",
} as const;

/** What matters of a request: everything but the differences. */
export function essenceOf({ method, path, headers, body }: SentRequest): unknown {
  const kept = Object.entries(headers).filter(
    ([name]) => !Object.hasOwn(differences.headers, name) && !name.startsWith(differences.headerPrefix),
  );
  return { method, path, headers: Object.fromEntries(kept), body };
}

/** The simulator's wires of OpenAI's APIs, with everything they are asked written down, and who asks them. */
export interface OpenaiOracle {
  /** Of our adapter. */
  readonly config: OpenaiProviderConfig;
  readonly captured: SentRequest[];
  vendor(): OpenAI;
  /** What our adapter makes of a Messages request; what is not said of it is usual. */
  encode(members: object, operation?: Operation): UpstreamRequest;
  send(request: UpstreamRequest): Promise<Response>;
  /** The answer to a request as our adapter reads it. */
  whole(members: object, operation?: Operation): Promise<Body>;
  streamed(members: object): Promise<Body | undefined>;
  close(): void;
}

export async function startOpenaiOracle(api: OpenaiProviderConfig["api"]): Promise<OpenaiOracle> {
  const captured: SentRequest[] = [];
  const { url, close } = await listen(captured);
  const baseUrl = `${url}/v1`;
  const config: OpenaiProviderConfig = {
    type: "openai",
    api,
    baseUrl,
    apiKey: "sk-1",
    organization: "org-1",
    headers: {},
    connections: 1,
    threads: false,
    models: {},
    maxTokensField: "max_completion_tokens",
  };
  const { adapter } = createVoice(config);
  const encode: OpenaiOracle["encode"] = (members, operation) => encodeWith(adapter, members, operation);
  const send: OpenaiOracle["send"] = (request) => {
    const headers: [string, string][] = [];
    for (let i = 0; i < request.headers.length; i += 2)
      headers.push([request.headers[i] ?? "", request.headers[i + 1] ?? ""]);
    return fetch(new URL(request.path, baseUrl), { method: "POST", headers, body: Buffer.concat([...request.body]) });
  };
  return {
    config,
    captured,
    vendor: () => new OpenAI({ apiKey: "sk-1", baseURL: baseUrl, organization: "org-1", maxRetries: 0 }),
    encode,
    send,
    async whole(members, operation) {
      const response = await send(encode(members, operation));
      const head = { status: response.status, headers: Object.fromEntries(response.headers) };
      const body = Buffer.from(await response.arrayBuffer());
      return JSON.parse(String(adapter.decode(contextOf(members, operation), head, body)?.body)) as Body;
    },
    async streamed(members) {
      const decoder = adapter.createStreamDecoder(contextOf(members));
      const bytes = Buffer.from(await (await send(encode({ ...members, stream: true }))).arrayBuffer());
      const events = [decoder.push(bytes), decoder.end()].filter((piece) => piece !== undefined);
      return readStream(Buffer.concat(events)).message;
    },
    close,
  };
}

async function listen(captured: SentRequest[]): Promise<{ readonly url: string; close(): void }> {
  const pacer = createPacer();
  const deps = {
    pace: { ttftMs: 0, tokensPerSecond: 0, tokensPerDelta: 2 },
    keys: [],
    scenarios: createScenarios(),
    pacer,
    cache: createPromptCache(),
    bound: createBoundState(),
    limits: createRateLimits(0),
    log: createRequestLog(() => 0),
  };
  const wires = [createOpenaiWire(deps), createResponsesWire(deps)];
  const server = createServer((request, response) => {
    readRequest(request, 1_000_000, (body = Buffer.alloc(0)) => {
      const { method = "", headers } = request;
      const { pathname, search, searchParams: query } = new URL(request.url ?? "/", "http://x");
      captured.push({ method, path: pathname + search, headers, body: JSON.parse(body.toString()) });
      const wire = wires.find((candidate) => candidate.handles(pathname));
      if (wire) wire.handle({ method, path: pathname, query, headers, body }, response);
      else response.writeHead(404).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    pacer.close();
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

const usual = { model: "gpt-5", max_tokens: 500, messages: [{ role: "user", content: "hi" }] };

function bodyOf(members: object, operation: Operation = "messages"): Buffer {
  const { max_tokens: most, ...fields } = { ...usual, ...members };
  return Buffer.from(JSON.stringify(operation === "messages" ? { ...fields, max_tokens: most } : fields));
}

function contextOf(members: object, operation: Operation = "messages"): DecodeContext {
  return { callId: "call_1", operation, askedModel: "m", body: bodyOf(members, operation) };
}

function encodeWith(adapter: Adapter, members: object, operation: Operation = "messages"): UpstreamRequest {
  const body = bodyOf(members, operation);
  const { model, splices, stream } = readBody(body, operation);
  return adapter.encode(
    {
      id: "call_1",
      operation,
      stream,
      askedModel: model,
      headers: { "anthropic-version": "2023-06-01" },
      body,
      splices,
      refusedBetas: undefined,
    },
    { provider: "p", model },
    { credential: undefined, now: 0 },
  );
}
