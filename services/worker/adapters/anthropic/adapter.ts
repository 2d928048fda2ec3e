import type { AnthropicProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { classify, classifyEvent, isStream } from "./classify.ts";
import { decode } from "./decode.ts";
import { encode, encodeBatch, type AnthropicWire } from "./encode.ts";
import { createStreamDecoder } from "./stream-decoder.ts";

/** The Messages API itself, and every server that speaks it: bytes pass as they came. */
export function createAnthropicAdapter(config: AnthropicProviderConfig): Adapter {
  const wire: AnthropicWire = { pathPrefix: pathPrefixOf(config.baseUrl), fixedHeaders: fixedHeadersOf(config) };
  return {
    origin: new URL(config.baseUrl).origin,
    counts: true,
    encode: (call, target) => encode(wire, call, target),
    encodeBatch: (exchange) => encodeBatch(wire, exchange),
    decode,
    createStreamDecoder,
    isStream,
    classify,
    classifyEvent,
  };
}

/** A base URL that was copied with its `/v1` works too. */
function pathPrefixOf(baseUrl: string): string {
  return new URL(baseUrl).pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
}

function fixedHeadersOf(config: AnthropicProviderConfig): string[] {
  const credential =
    config.apiKey === undefined || config.apiKey === ""
      ? []
      : config.auth === "bearer"
        ? ["authorization", `Bearer ${config.apiKey}`]
        : ["x-api-key", config.apiKey];
  return [...credential, ...Object.entries(config.headers).flat()];
}
