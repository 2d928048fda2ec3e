import type { ServerResponse } from "node:http";

import type { ModelInfo } from "#shared/messages/model-info.ts";
import { createAnthropicWire } from "./anthropic/anthropic-wire.ts";
import { ownDialect, type Dialect, type ErrorAnswer } from "./anthropic/dialect.ts";
import { keyOf, parseObject, rewriteRequest } from "./rewrite-request.ts";
import type { SimulatedRequest, Wire, WireDeps } from "./wire.ts";
import type { Json } from "./json.ts";

const pathPattern =
  /^\/v1\/projects\/[^/]+\/locations\/[^/]+\/publishers\/anthropic\/models\/([^/]+):(rawPredict|streamRawPredict)$/;
const versions: Readonly<Record<string, string>> = { "vertex-2023-10-16": "2023-06-01", "2026-10-21": "2026-10-21" };

/** Google's status and canonical code for what the platform itself says; the model's own words stay Anthropic's. */
const platform: Readonly<Record<number, readonly [number, string]>> = {
  401: [401, "UNAUTHENTICATED"],
  402: [403, "PERMISSION_DENIED"],
  403: [403, "PERMISSION_DENIED"],
  404: [404, "NOT_FOUND"],
  408: [504, "DEADLINE_EXCEEDED"],
  429: [429, "RESOURCE_EXHAUSTED"],
  500: [500, "INTERNAL"],
  503: [503, "UNAVAILABLE"],
  504: [504, "DEADLINE_EXCEEDED"],
  529: [503, "UNAVAILABLE"],
};

/** Claude on Vertex AI: rawPredict, streamRawPredict, and the counter, which is a model of its own. */
export function createVertexWire(deps: WireDeps, models: readonly ModelInfo[]): Wire {
  const whole = createAnthropicWire(deps, models, vertexDialect(false));
  const streamed = createAnthropicWire(deps, models, vertexDialect(true));
  return {
    handles: (path) => pathPattern.test(path),
    handle(request, response) {
      const [, id, method] = pathPattern.exec(request.path) as unknown as readonly [string, string, string];
      const isCount = id === "count-tokens";
      const body = parseObject(request.body);
      const version = versions[String(body?.["anthropic_version"])];
      const refusal = refusalOf(request) ?? faultOf(body, isCount);
      if (refusal !== undefined || body === undefined || version === undefined)
        return send(response, refusal ?? invalid("anthropic_version: Field required"));
      const { anthropic_version: _version, model = decodeURIComponent(id), ...rest } = body;
      const plain = rewriteRequest(request, {
        operation: isCount ? "count_tokens" : "messages",
        version,
        betas: betasOf(request),
        body: { ...rest, model: plainId(String(model)) },
      });
      (method === "streamRawPredict" ? streamed : whole).handle(plain, response);
    },
  };
}

function betasOf({ headers }: SimulatedRequest): string {
  return String(headers["anthropic-beta"] ?? "");
}

function refusalOf(request: SimulatedRequest): ErrorAnswer | undefined {
  if (request.method !== "POST") return googleError(404, "NOT_FOUND", "Not found");
  if (keyOf(request) !== "") return undefined;
  return googleError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
}

function faultOf(body: Json | undefined, isCount: boolean): ErrorAnswer | undefined {
  if (body === undefined) return invalid("Invalid JSON payload received.");
  return !isCount && "model" in body ? invalid("model: Extra inputs are not permitted") : undefined;
}

function invalid(message: string): ErrorAnswer {
  return googleError(400, "INVALID_ARGUMENT", message);
}

function vertexDialect(streams: boolean): Dialect {
  return {
    ...ownDialect,
    headers: () => ({}),
    hints: false,
    error(status, error, account) {
      const row = platform[status];
      if (row === undefined) return ownDialect.error(status, error, account);
      const answer = googleError(...row, error.message);
      // The streaming method wraps its errors in an array.
      return streams ? { ...answer, body: `[${answer.body}]` } : answer;
    },
  };
}

/** `claude-haiku-4-5@20251001` is the dated id; a marker's suffix stays. */
function plainId(id: string): string {
  return id.replace(/@(?=\d{8})/, "-");
}

function googleError(...[code, status, message]: readonly [number, string, string]): ErrorAnswer {
  const headers = { "content-type": "application/json; charset=UTF-8" };
  return { status: code, headers, body: JSON.stringify({ error: { code, message, status } }) };
}

function send(response: ServerResponse, { status, headers, body }: ErrorAnswer): void {
  response.writeHead(status, headers).end(body);
}
