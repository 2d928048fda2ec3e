import { GatewayError } from "#shared/messages/error.ts";
import type { AdapterTarget, ProviderCall, UpstreamRequest } from "../adapter.ts";
import { readMessagesRequest, type MessagesRequest } from "../translate/messages-request.ts";
import type { Fields, Reading } from "../translate/reading.ts";
import { encodeMessages } from "./encode-messages.ts";
import { encodeEffort, encodeFormat, encodeSampling, encodeStop, encodeTools } from "./encode-options.ts";
import { requestHeaders, type OpenaiWire } from "./wire.ts";

/** The call as a Chat Completions request. */
export function encode(wire: OpenaiWire, call: ProviderCall, target: AdapterTarget): UpstreamRequest {
  if (call.operation !== "messages") throw new GatewayError("invalid_request", "This provider counts no tokens.");
  const { request, reading } = readMessagesRequest(call);
  const body = encodeBody(wire, { request, reading, model: target.model, stream: call.stream });
  return {
    path: `${wire.pathPrefix}/chat/completions${wire.query}`,
    headers: requestHeaders(wire, call.stream),
    body: [Buffer.from(JSON.stringify(body))],
    ...(reading.notes.length > 0 ? { notes: reading.notes } : undefined),
  };
}

interface Chat {
  readonly request: MessagesRequest;
  readonly reading: Reading;
  readonly model: string;
  readonly stream: boolean;
}

function encodeBody(wire: OpenaiWire, { request, reading, model, stream }: Chat): Fields {
  if (request.prefillPath !== undefined) reading.adaptOrRefuse("prefill as an earlier turn", request.prefillPath);
  const context = { reading, model };
  return {
    model,
    messages: encodeMessages(request, { reading, echoesReasoning: wire.echoesReasoning }),
    [wire.maxTokensField]: request.maxTokens,
    ...encodeTools(request, context),
    ...encodeFormat(request, context),
    ...encodeSampling(request, context),
    ...encodeStop(request, context),
    ...encodeEffort(request, context),
    ...(stream ? { stream: true, stream_options: { include_usage: true } } : undefined),
  };
}
