import type { AdapterTarget, ProviderCall, UpstreamRequest } from "../adapter.ts";
import {
  effortOf,
  encodeFunction,
  encodeSampling,
  encodeSchema,
  mayReason,
  type OptionsContext,
} from "../openai/encode-options.ts";
import { wireToolName } from "../openai/tool-names.ts";
import { requestHeaders } from "../openai/wire.ts";
import { present, readMessagesRequest, type MessagesRequest } from "../translate/messages-request.ts";
import type { Fields, Reading } from "../translate/reading.ts";
import { encodeInput } from "./encode-input.ts";
import type { ResponsesWire } from "./wire.ts";

/** The call as a Responses request, or as one for the count of its input. */
export function encode(wire: ResponsesWire, call: ProviderCall, target: AdapterTarget): UpstreamRequest {
  const { request, reading } = readMessagesRequest(call);
  const context = { reading, model: target.model };
  const isCount = call.operation === "count_tokens";
  const input = encodePrompt(wire, request, context);
  const body = isCount
    ? input
    : { ...input, ...encodeAnswering(request, context), ...present("stream", call.stream || undefined) };
  return {
    path: `${wire.pathPrefix}/responses${isCount ? "/input_tokens" : ""}${wire.query}`,
    headers: requestHeaders(wire, call.stream && !isCount),
    body: [Buffer.from(JSON.stringify(body))],
    ...(reading.notes.length > 0 ? { notes: reading.notes } : undefined),
  };
}

/** All that the model reads, which is what a count is of. */
function encodePrompt(wire: ResponsesWire, request: MessagesRequest, context: OptionsContext): Fields {
  const { reading, model } = context;
  if (request.prefillPath !== undefined) reading.adaptOrRefuse("prefill as an earlier turn", request.prefillPath);
  const instructions = request.system.map(({ text }) => text).join("\n\n");
  const format = encodeSchema(request, reading);
  return {
    model,
    ...present("instructions", instructions === "" ? undefined : instructions),
    input: encodeInput(request, { reading, wire, mayReason: mayReason(model) }),
    ...encodeTools(request, reading),
    ...present("text", format && { format: { type: "json_schema", ...format } }),
    ...present("reasoning", encodeReasoning(request, context)),
  };
}

/** How the answer is made. Nothing of it is kept there. */
function encodeAnswering(request: MessagesRequest, context: OptionsContext): Fields {
  const { reading, model } = context;
  // An answer that goes on where it should have stopped is wrong, so this is never adapted.
  if (request.stopSequences.length > 0) reading.refuse("stop_sequences", "this model's provider takes none");
  return {
    max_output_tokens: encodeLength(request.maxTokens, reading),
    ...encodeSampling(request, context),
    store: false,
    ...(request.thinking?.type === "on" && mayReason(model) ? { include: ["reasoning.encrypted_content"] } : undefined),
  };
}

/** The vendor refuses fewer. */
const fewestTokens = 16;

function encodeLength(maxTokens: number, reading: Reading): number {
  if (maxTokens >= fewestTokens) return maxTokens;
  if (!reading.adapts) reading.refuse("max_tokens", `this model's provider takes ${fewestTokens} at least`);
  reading.adapt(`max_tokens raised to ${fewestTokens}`);
  return fewestTokens;
}

/** Whether a function is strict is always said: what is left open, the vendor decides by the schema. */
function encodeTools({ tools, toolChoice }: MessagesRequest, reading: Reading): Fields {
  if (tools.length === 0) return {};
  return {
    tools: tools.map((tool) => ({ type: "function", ...encodeFunction(tool, reading) })),
    ...present("tool_choice", encodeChoice(toolChoice)),
    ...(toolChoice?.parallel === false ? { parallel_tool_calls: false } : undefined),
  };
}

function encodeChoice(choice: MessagesRequest["toolChoice"]): unknown {
  if (choice?.type === "tool") return { type: "function", name: wireToolName(choice.name) };
  return choice?.type === "any" ? "required" : choice?.type;
}

/** Of reasoning only a summary is ever shown, and only to those who ask for it. */
function encodeReasoning(request: MessagesRequest, context: OptionsContext): Fields | undefined {
  const { thinking } = request;
  const effort = effortOf(request, context);
  if (effort === undefined) return undefined;
  const shows = thinking?.type === "on" && thinking.display !== "omitted";
  return { effort, ...(shows ? { summary: "auto" } : undefined) };
}
