import type { BedrockProviderConfig } from "#shared/config/schema.ts";
import type { Adapter, Failure, UpstreamHead } from "../adapter.ts";
import { classify as classifyMessages, classifyEvent, isStream } from "../anthropic/classify.ts";
import { decode } from "../anthropic/decode.ts";
import { encode, type AnthropicWire } from "../anthropic/encode.ts";
import { createStreamDecoder } from "../anthropic/stream-decoder.ts";
import { pathPrefixOf } from "../claude-request.ts";
import { authorize, type SigningScope } from "./authorize.ts";
import { classify as classifyException } from "./classify.ts";

/** Bedrock's endpoint that speaks Messages; only who may ask is told AWS' way. */
export function createMantleAdapter(config: BedrockProviderConfig): Adapter {
  const { origin, host } = new URL(config.baseUrl);
  const scope: SigningScope = { host, region: config.region, service: "bedrock-mantle" };
  const wire: AnthropicWire = {
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

/** The model's own errors are the Messages API's; what stands in front of it answers with exceptions. */
function classify(head: UpstreamHead, body: Buffer): Failure {
  const failure = classifyMessages(head, body);
  return failure.envelope ? failure : classifyException(head, body);
}
