import type { FoundryProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { classifyEvent, isStream } from "../anthropic/classify.ts";
import { decode } from "../anthropic/decode.ts";
import { encode, type AnthropicWire } from "../anthropic/encode.ts";
import { createStreamDecoder } from "../anthropic/stream-decoder.ts";
import { nameList } from "#shared/messages/json-members.ts";
import { pathPrefixOf, refuseMembers } from "../claude-request.ts";
import { withCredential } from "../with-credential.ts";
import { classify } from "./classify.ts";

const lacking = nameList("fallbacks");

/** Claude in Microsoft Foundry: Messages, under names of deployments. */
export function createFoundryAdapter(config: FoundryProviderConfig): Adapter {
  const wire: AnthropicWire = {
    pathPrefix: pathPrefixOf(config.baseUrl),
    fixedHeaders: Object.entries(config.headers).flat(),
  };
  return {
    origin: new URL(config.baseUrl).origin,
    counts: true,
    encode: (call, target, given) => {
      refuseMembers(call.body, lacking);
      return withCredential(encode(wire, call, target), given);
    },
    decode,
    createStreamDecoder,
    isStream,
    classify,
    classifyEvent,
  };
}
