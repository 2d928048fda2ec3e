import type { VertexProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { classifyEvent, isStream } from "../anthropic/classify.ts";
import { decode } from "../anthropic/decode.ts";
import { createStreamDecoder } from "../anthropic/stream-decoder.ts";
import { pathPrefixOf } from "../claude-request.ts";
import { withCredential } from "../with-credential.ts";
import { classify } from "./classify.ts";
import { encode, type VertexWire } from "./encode.ts";

/** Claude on Google Cloud's Vertex AI: what comes back already is Messages. */
export function createVertexAdapter(config: VertexProviderConfig): Adapter {
  const { project, region } = config;
  const wire: VertexWire = {
    modelsPath: `${pathPrefixOf(config.baseUrl)}/v1/projects/${project}/locations/${region}/publishers/anthropic/models/`,
    fixedHeaders: Object.entries(config.headers).flat(),
  };
  return {
    origin: new URL(config.baseUrl).origin,
    counts: true,
    encode: (call, target, given) => withCredential(encode(wire, call, target), given),
    decode,
    createStreamDecoder,
    isStream,
    classify,
    classifyEvent,
  };
}
