import { nameList } from "#shared/messages/json-members.ts";
import { reshapeBody } from "#shared/messages/reshape-body.ts";
import type { AdapterTarget, ProviderCall, UpstreamRequest } from "../adapter.ts";
import { betasOf, classicVersion, ownServiceMembers, plainHeaders, refuseOwnService } from "../claude-request.ts";
import { mergeHeaders } from "../merge-headers.ts";
import { apiVersion } from "./api-version.ts";
import { countedModel, encodeCount } from "./encode-count.ts";
import { markLastBlock } from "./mark-last-block.ts";
import { encodeSegment } from "./sign-request.ts";

export interface InvokeWire {
  /** Path prefix of the base URL. */
  readonly pathPrefix: string;
  /** Configured headers: name, value, name, value … */
  readonly fixedHeaders: readonly string[];
}

/** InvokeModel takes a body with any other member for malformed. */
const moved = nameList(
  "model",
  "stream",
  "providerOptions",
  "anthropic_version",
  "anthropic_beta",
  "cache_control",
  ...ownServiceMembers,
);

/** InvokeModel, its streaming twin or CountTokens; unsigned. */
export function encode(wire: InvokeWire, call: ProviderCall, target: AdapterTarget): UpstreamRequest {
  const notes: string[] = [];
  const body = encodeBody(call, target, notes);
  const isCount = call.operation === "count_tokens";
  const model = encodeSegment(isCount ? countedModel(target.model, call.askedModel) : target.model);
  const action = isCount ? "count-tokens" : call.stream ? "invoke-with-response-stream" : "invoke";
  return {
    path: `${wire.pathPrefix}/model/${model}/${action}`,
    headers: mergeHeaders(wire.fixedHeaders, plainHeaders(call.headers)),
    body: isCount ? encodeCount(body, notes) : body,
    ...(notes.length > 0 ? { notes } : {}),
  };
}

function encodeBody(call: ProviderCall, target: AdapterTarget, notes: string[]): readonly Buffer[] {
  const asked = call.headers["anthropic-version"];
  const version = apiVersion(asked, target.model);
  if (asked !== classicVersion && version !== asked) notes.push(`anthropic_version: ${version}`);
  let mark: string | undefined;
  const pieces = reshapeBody(call.body, {
    take: moved,
    put: (taken) => {
      refuseOwnService(taken);
      mark = taken.cache_control?.toString();
      const flags = betasOf(call, "body").body;
      return {
        anthropic_version: JSON.stringify(version),
        ...(flags.length > 0 ? { anthropic_beta: JSON.stringify(flags) } : {}),
      };
    },
  });
  if (mark === undefined || mark === "null") return pieces;
  notes.push("adapted: cache_control");
  return markLastBlock(Buffer.concat(pieces), mark);
}
