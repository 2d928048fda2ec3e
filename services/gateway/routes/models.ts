import type { RouteHandlerMethod } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import { pageModels, type ModelInfo, type ModelPage, type ModelPageQuery } from "#shared/messages/model-info.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import { writeJson } from "../answer.ts";
import { findModel, mayUse } from "../call/check-models.ts";
import type { ModelRules } from "../call/model-rules.ts";
import { sendError } from "../plugins/errors.ts";

export interface ModelEndpoint {
  readonly claudeOnly: boolean;
}

export interface ModelRouteDeps {
  readonly catalogue: Catalogue;
}

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

const lifecycles = ["active", "deprecated", "retired"];

/** `GET /v1/models`: what this key may use, in Anthropic's pages. */
export function modelListRoute(endpoint: ModelEndpoint, deps: ModelRouteDeps): RouteHandlerMethod {
  return modelRoute(endpoint, deps, (rules, query) => listModels(rules, query as Query));
}

/** `GET /v1/models/{id}`: one of them, by any of its names. */
export function modelByIdRoute(endpoint: ModelEndpoint, deps: ModelRouteDeps): RouteHandlerMethod {
  return modelRoute(endpoint, deps, (rules, _query, params) => {
    const asked = (params as Readonly<Record<string, string>>)["*"] ?? "";
    return findModel(asked, rules).info;
  });
}

type AnswerModels = (rules: ModelRules, query: unknown, params: unknown) => ModelPage | ModelInfo;

function modelRoute({ claudeOnly }: ModelEndpoint, deps: ModelRouteDeps, answer: AnswerModels): RouteHandlerMethod {
  return (request, reply) => {
    try {
      const rules = { catalogue: deps.catalogue, caller: request.caller, claudeOnly };
      const value = answer(rules, request.query, request.params);
      reply.hijack();
      writeJson(reply.raw, request.id, value);
    } catch (reason) {
      sendError(request, reply, toGatewayError(reason));
    }
  };
}

function listModels(rules: ModelRules, query: Query): ModelPage {
  const asked = readLifecycles(query);
  const usable = rules.catalogue
    .list()
    .filter((model) => (model.claude || !rules.claudeOnly) && mayUse(rules.caller, model.name))
    .map((model) => model.info)
    .filter((info) => asked === undefined || asked.includes(info.lifecycle));
  return pageModels(usable, readPageQuery(query));
}

/** Clients write lists as `lifecycle[]=active&lifecycle[]=deprecated`. */
function readLifecycles(query: Query): readonly string[] | undefined {
  const given = query["lifecycle[]"] ?? query["lifecycle"];
  if (given === undefined) return undefined;
  const asked = typeof given === "string" ? [given] : given;
  if (asked.every((lifecycle) => lifecycles.includes(lifecycle))) return asked;
  throw new GatewayError("invalid_request", "lifecycle: Input should be 'active', 'deprecated' or 'retired'");
}

function readPageQuery(query: Query): ModelPageQuery {
  const { limit, after_id: after, before_id: before } = query;
  return {
    ...(limit === undefined ? {} : { limit: Number(limit) }),
    ...(typeof after === "string" && after !== "" ? { after_id: after } : {}),
    ...(typeof before === "string" && before !== "" ? { before_id: before } : {}),
  };
}
