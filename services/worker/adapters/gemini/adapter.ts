import type { GeminiProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { classify, isStream } from "./classify.ts";
import { decode } from "./decode.ts";
import { encode, type GeminiWire } from "./encode.ts";
import { createStreamDecoder } from "./stream-decoder.ts";
import { classifyEvent } from "./stream-fault.ts";

/** Google's models over `generateContent`, at AI Studio with a key and at Vertex with a token. */
export function createGeminiAdapter(config: GeminiProviderConfig): Adapter {
  const { origin, pathname } = new URL(config.baseUrl);
  const wire: GeminiWire = {
    api: config.api,
    pathPrefix: pathPrefixOf(config, pathname),
    fixedHeaders: fixedHeadersOf(config),
  };
  return {
    origin,
    counts: true,
    encode: (call, target, given) => encode(wire, { call, target }, given),
    decode,
    createStreamDecoder,
    isStream,
    classify: (head, body) => classify(head, body),
    classifyEvent: (error) => classifyEvent(error),
  };
}

/** A base URL that was copied with its version works too. */
function pathPrefixOf({ api, project = "", region = "global" }: GeminiProviderConfig, pathname: string): string {
  const bare = pathname.replace(/\/+$/, "");
  const isVersioned = /\/v\d+\w*$/.test(bare);
  if (api === "ai-studio") return isVersioned ? bare : `${bare}/v1beta`;
  return `${isVersioned ? bare : `${bare}/v1beta1`}/projects/${project}/locations/${region}`;
}

function fixedHeadersOf({ apiKey, headers }: GeminiProviderConfig): string[] {
  const configured = Object.entries(headers).flat();
  if (apiKey === undefined || apiKey === "" || headers["x-goog-api-key"] !== undefined) return configured;
  return ["x-goog-api-key", apiKey, ...configured];
}
