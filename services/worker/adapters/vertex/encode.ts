import { nameList } from "#shared/messages/json-members.ts";
import { reshapeBody } from "#shared/messages/reshape-body.ts";
import type { AdapterTarget, ProviderCall, UpstreamRequest } from "../adapter.ts";
import { betasOf, classicVersion, ownServiceMembers, plainHeaders, refuseOwnService } from "../claude-request.ts";
import { mergeHeaders } from "../merge-headers.ts";

export interface VertexWire {
  /** Path up to and with `/publishers/anthropic/models/`. */
  readonly modelsPath: string;
  /** Configured headers: name, value, name, value … */
  readonly fixedHeaders: readonly string[];
}

const moved = nameList("model", "providerOptions", "anthropic_version", "anthropic_beta", ...ownServiceMembers);

/** What the classic version is called here; later ones have no name of their own. */
const vertexVersion = "vertex-2023-10-16";

/** rawPredict or its streaming twin. The counter is a model of its own; there the body keeps the model. */
export function encode(wire: VertexWire, call: ProviderCall, target: AdapterTarget): UpstreamRequest {
  const isCount = call.operation === "count_tokens";
  const betas = betasOf(call, "header").header;
  const headers = plainHeaders(call.headers);
  if (betas.length > 0) headers.push("anthropic-beta", betas.join(","));
  const model = isCount ? "count-tokens" : encodeModel(target.model);
  return {
    path: `${wire.modelsPath}${model}:${call.stream && !isCount ? "streamRawPredict" : "rawPredict"}`,
    headers: mergeHeaders(wire.fixedHeaders, headers),
    body: encodeBody(call, isCount ? target.model : undefined),
  };
}

function encodeBody(call: ProviderCall, model: string | undefined): readonly Buffer[] {
  const asked = call.headers["anthropic-version"];
  return reshapeBody(call.body, {
    take: moved,
    put: (taken) => {
      refuseOwnService(taken);
      return {
        anthropic_version: JSON.stringify(asked === classicVersion ? vertexVersion : asked),
        ...(model === undefined ? {} : { model: JSON.stringify(model) }),
      };
    },
  });
}

/** `@` and the like stay as they are in a path; `;` would end the segment for some servers. */
function encodeModel(model: string): string {
  return model.replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,=:@]+/g, encodeURIComponent);
}
