import type { BedrockProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { pathPrefixOf } from "../claude-request.ts";
import { authorize, type SigningScope } from "./authorize.ts";
import { classify, classifyEvent, isStream } from "./classify.ts";
import { decode } from "./decode.ts";
import { encode, type InvokeWire } from "./encode.ts";
import { createMantleAdapter } from "./mantle-adapter.ts";
import { createStreamDecoder } from "./stream-decoder.ts";

/** Claude on Amazon Bedrock: InvokeModel, or the endpoint that speaks Messages. */
export function createBedrockAdapter(config: BedrockProviderConfig): Adapter {
  return config.api === "mantle" ? createMantleAdapter(config) : createInvokeAdapter(config);
}

function createInvokeAdapter(config: BedrockProviderConfig): Adapter {
  const { origin, host } = new URL(config.baseUrl);
  const scope: SigningScope = { host, region: config.region, service: "bedrock" };
  const wire: InvokeWire = {
    pathPrefix: pathPrefixOf(config.baseUrl),
    fixedHeaders: Object.entries(config.headers).flat(),
  };
  return {
    origin,
    counts: true,
    encode: (call, target, given) => authorize(encode(wire, call, target), scope, given),
    decode,
    createStreamDecoder,
    isStream,
    classify,
    classifyEvent,
  };
}
