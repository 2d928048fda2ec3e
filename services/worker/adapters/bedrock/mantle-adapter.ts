import type { BedrockProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { classifyEvent, isStream } from "../anthropic/classify.ts";
import { decode } from "../anthropic/decode.ts";
import { encode, type AnthropicWire } from "../anthropic/encode.ts";
import { createStreamDecoder } from "../anthropic/stream-decoder.ts";
import { nameList } from "#shared/messages/json-members.ts";
import { ownServiceMembers, pathPrefixOf, refuseMembers } from "../claude-request.ts";
import { authorize, type SigningScope } from "./authorize.ts";
import { classifyFronted } from "./classify-fronted.ts";

const lacking = nameList(...ownServiceMembers);

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
    encode: (call, target, given) => {
      refuseMembers(call.body, lacking);
      return authorize(encode(wire, call, target), scope, given);
    },
    decode,
    createStreamDecoder,
    isStream,
    classify: classifyFronted,
    classifyEvent,
  };
}
