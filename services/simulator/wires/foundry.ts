import type { ModelInfo } from "#shared/messages/model-info.ts";
import { makeId } from "../answer/ids.ts";
import { createAnthropicWire } from "./anthropic/anthropic-wire.ts";
import { ownDialect, type Dialect } from "./anthropic/dialect.ts";
import { keyOf, parseObject } from "./rewrite-request.ts";
import type { Wire, WireDeps } from "./wire.ts";

const prefix = "/anthropic";

/** The Messages API below `/anthropic`: Microsoft Foundry with deployments for models, and Bedrock's Mantle. */
export function createFoundryWire(deps: WireDeps, models: readonly ModelInfo[]): Wire {
  const messages = createAnthropicWire(deps, models, dialect);
  return {
    handles: (path) => path.startsWith(`${prefix}/v1/messages`),
    handle(request, response) {
      const { authorization: _authorization, ...headers } = request.headers;
      const plain = { ...headers, "x-api-key": keyOf(request) };
      const path = request.path.slice(prefix.length);
      messages.handle({ ...request, path, headers: plain, body: withPlainModel(request.body) }, response);
    },
  };
}

/** Mantle's models are called after their maker. */
function withPlainModel(bytes: Buffer): Buffer {
  const body = parseObject(bytes);
  const model = body?.["model"];
  if (typeof model !== "string" || !model.startsWith("anthropic.")) return bytes;
  return Buffer.from(JSON.stringify({ ...body, model: model.slice("anthropic.".length) }));
}

/** Nothing is said of limits; a deployment that is not there is told in Azure's words. */
const dialect: Dialect = {
  ...ownDialect,
  headers: ({ requestId }) => ({ "request-id": requestId, "apim-request-id": makeId("apim") }),
  error(status, error, account) {
    if (status !== 404) return ownDialect.error(status, error, account);
    const body = JSON.stringify({ error: { code: "DeploymentNotFound", message: error.message } });
    return { status, headers: { "content-type": "application/json" }, body };
  },
};
