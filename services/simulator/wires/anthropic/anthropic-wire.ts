import type { ServerResponse } from "node:http";

import type { ModelInfo } from "#shared/messages/model-info.ts";
import { makeId } from "../../answer/ids.ts";
import type { LoggedRequest } from "../../request-log.ts";
import { MarkerError } from "../../scenario.ts";
import { plainModel } from "../../scenarios.ts";
import type { SimulatedRequest, Wire, WireDeps } from "../wire.ts";
import { ApiError, errorBody } from "./api-error.ts";
import { answerMessages } from "./answer-messages.ts";
import { ownDialect, type Dialect } from "./dialect.ts";
import { listModels } from "./list-models.ts";
import type { Account } from "./messages-call.ts";
import { accountHeaders } from "./response-headers.ts";
import { isObject, type Json } from "../json.ts";

const versions = new Set(["2023-06-01", "2026-10-21"]);

/** Anthropic's Messages API under `/v1`: messages, count_tokens, models; in the dialect of whoever serves it. */
export function createAnthropicWire(deps: WireDeps, models: readonly ModelInfo[], dialect: Dialect = ownDialect): Wire {
  return {
    handles: (path) => path.startsWith("/v1/"),
    handle(request, response) {
      const account = readAccount(request);
      const logged: LoggedRequest = {
        at: new Date().toISOString(),
        method: request.method,
        path: request.path,
        apiKey: account.apiKey,
      };
      response.once("close", () => {
        if (response.headersSent) logged.status = response.statusCode;
      });
      try {
        checkAccount(account, deps);
        route(request, response, { deps, models, dialect, account, logged });
      } catch (reason) {
        sendError(response, { account, dialect }, reason);
      } finally {
        deps.log.add(logged);
      }
    },
  };
}

interface Context {
  readonly deps: WireDeps;
  readonly models: readonly ModelInfo[];
  readonly dialect: Dialect;
  readonly account: Account;
  readonly logged: LoggedRequest;
}

function route(request: SimulatedRequest, response: ServerResponse, context: Context): void {
  const { deps, models, dialect, account, logged } = context;
  const [, , resource, id] = request.path.split("/");
  if (request.method === "POST" && (request.path === "/v1/messages" || request.path === "/v1/messages/count_tokens")) {
    const operation = id === "count_tokens" ? "count_tokens" : "messages";
    const { headers } = request;
    answerMessages(
      { operation, body: parseBody(request), account, logged, response, headers },
      { ...deps, models, dialect },
    );
    return;
  }
  if (request.method !== "GET" || resource !== "models") throw new ApiError(404, "Not found");
  sendJson(response, account, id === undefined ? listModels(models, request.query) : findModel(models, id));
}

function findModel(models: readonly ModelInfo[], encodedId: string): ModelInfo {
  const id = plainModel(decodeURIComponent(encodedId));
  const found = models.find((model) => model.id === id);
  if (!found) throw new ApiError(404, `model: ${id}`);
  return found;
}

function parseBody({ headers, body }: SimulatedRequest): Json {
  if ((headers["content-encoding"] ?? "identity") !== "identity")
    throw new ApiError(400, "Unsupported content encoding.", { error_code: "request_body_encoding_unsupported" });
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (reason) {
    throw new ApiError(400, `The request body is not valid JSON: ${(reason as Error).message}`);
  }
  if (!isObject(value)) throw new ApiError(400, "Input should be a valid dictionary");
  return value;
}

function readAccount({ headers }: SimulatedRequest): Account {
  const bearer = /^bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
  const given = headers["x-api-key"];
  return {
    apiKey: (typeof given === "string" && given !== "" ? given : bearer) ?? "",
    requestId: makeId("req"),
    version: String(headers["anthropic-version"] ?? ""),
  };
}

function checkAccount({ apiKey, version }: Account, { keys }: WireDeps): void {
  if (apiKey === "") throw new ApiError(401, "x-api-key header is required");
  if (keys.length > 0 && !keys.includes(apiKey)) throw new ApiError(401);
  if (version === "") throw new ApiError(400, "anthropic-version: header is required");
  if (!versions.has(version)) throw new ApiError(400, `anthropic-version: "${version}" is not a valid version`);
}

function sendError(
  response: ServerResponse,
  { account, dialect }: { readonly account: Account; readonly dialect: Dialect },
  reason: unknown,
): void {
  const error =
    reason instanceof ApiError
      ? reason
      : reason instanceof MarkerError
        ? new ApiError(400, `Simulator marker: ${reason.message}`)
        : new ApiError(500, `The simulator failed: ${String(reason)}`);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const answer = dialect.error(error.status, errorBody(error, account.requestId).error, account);
  response.writeHead(answer.status, { ...dialect.headers(account, undefined), ...answer.headers });
  response.end(answer.body);
}

function sendJson(response: ServerResponse, account: Account, value: unknown): void {
  response.writeHead(200, { ...accountHeaders(account), "content-type": "application/json" });
  response.end(JSON.stringify(value));
}
