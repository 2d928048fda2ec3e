import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { classifyEvent } from "../anthropic/classify.ts";
import { classify, isStream } from "../openai/classify.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { createStreamDecoder } from "./stream-decoder.ts";
import { responsesWire } from "./wire.ts";

/** OpenAI's Responses: reasoning that is kept from turn to turn, without anything being stored there. */
export function createResponsesAdapter(config: OpenaiProviderConfig): Adapter {
  const wire = responsesWire(config);
  return {
    origin: new URL(config.baseUrl).origin,
    counts: true,
    encode: (call, target) => encode(wire, call, target),
    decode: (context, head, body) => decode(wire, context, { head, body }),
    createStreamDecoder: (context) => createStreamDecoder(wire, context),
    isStream,
    classify,
    // The events are ours, in the Messages API's terms.
    classifyEvent,
  };
}
