import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import type { Adapter } from "../adapter.ts";
import { classifyEvent } from "../anthropic/classify.ts";
import { classify, isStream } from "./classify.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { createStreamDecoder } from "./stream-decoder.ts";
import { openaiWire } from "./wire.ts";

/** Chat Completions, of OpenAI or any server that speaks it; everything is translated. */
export function createOpenaiAdapter(config: OpenaiProviderConfig): Adapter {
  const wire = openaiWire(config);
  return {
    origin: new URL(config.baseUrl).origin,
    // The wire has no counter.
    counts: false,
    encode: (call, target) => encode(wire, call, target),
    decode,
    createStreamDecoder,
    isStream,
    classify,
    // The events are ours, in the Messages API's terms.
    classifyEvent,
  };
}
