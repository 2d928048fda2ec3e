import type { AdapterTarget, EncodeGiven, ProviderCall, UpstreamRequest } from "../adapter.ts";
import { mergeHeaders } from "../merge-headers.ts";
import { readMessagesRequest } from "../translate/messages-request.ts";
import { withCredential } from "../with-credential.ts";
import { encodeContents, type ContentsScope } from "./encode-contents.ts";
import { encodeGeneration } from "./encode-generation.ts";
import { encodeTools } from "./encode-tools.ts";
import { traitsOf } from "./model-traits.ts";
import type { Content, GenerateContentRequest } from "./wire.ts";

export interface GeminiWire {
  readonly api: "ai-studio" | "vertex";
  /** Up to and without `/models`, or `/publishers`. */
  readonly pathPrefix: string;
  /** Credential and configured headers: name, value, name, value … */
  readonly fixedHeaders: readonly string[];
}

/** @throws GatewayError `invalid_request` naming the member that Gemini has no word for. */
export function encode(
  wire: GeminiWire,
  { call, target }: { readonly call: ProviderCall; readonly target: AdapterTarget },
  given: EncodeGiven,
): UpstreamRequest {
  const { request, reading } = readMessagesRequest(call);
  const resource = resourceOf(wire, target.model);
  const scope: ContentsScope = { api: wire.api, traits: traitsOf(target.model), reading, model: target.model };
  const prompt = {
    contents: encodeContents(request, scope),
    ...encodeSystem(request.system.map(({ text }) => ({ text }))),
    ...encodeTools(request, scope),
  };
  if (prompt.contents.length === 0) reading.refuse("messages", "nothing is left that this model can be told");
  const counts = call.operation === "count_tokens";
  const body = counts
    ? encodeCount(wire, resource, prompt)
    : { ...prompt, generationConfig: encodeGeneration(request, scope) };
  const encoded = {
    path: `${wire.pathPrefix}/${resource.split("/").map(encodeURIComponent).join("/")}${methodOf(call)}`,
    headers: encodeHeaders(wire, call),
    body: [Buffer.from(JSON.stringify(body))],
    ...(reading.notes.length > 0 ? { notes: reading.notes } : {}),
  };
  return withCredential(encoded, given);
}

function methodOf({ operation, stream }: ProviderCall): string {
  if (operation === "count_tokens") return ":countTokens";
  return stream ? ":streamGenerateContent?alt=sse" : ":generateContent";
}

/** A tuned model or an endpoint is written with its collection; a bare name is one of Google's own. */
function resourceOf({ api }: GeminiWire, model: string): string {
  if (api === "ai-studio") return /^(?:models|tunedModels)\//.test(model) ? model : `models/${model}`;
  if (/^(?:publishers|models|endpoints)\//.test(model)) return model;
  return `publishers/google/models/${model}`;
}

/** AI Studio counts bare contents, or a whole request that names its model; Vertex the members of one. */
function encodeCount(wire: GeminiWire, model: string, request: GenerateContentRequest): object {
  const { toolConfig: _, ...prompt } = request;
  return wire.api === "vertex" ? prompt : { generateContentRequest: { model, ...prompt } };
}

function encodeSystem(parts: Content["parts"]): Pick<GenerateContentRequest, "systemInstruction"> {
  return parts.length === 0 ? {} : { systemInstruction: { parts } };
}

function encodeHeaders({ fixedHeaders }: GeminiWire, { headers }: ProviderCall): string[] {
  const { "user-agent": agent } = headers;
  // Events are read as they come, so they must not be compressed for us.
  const encoded = ["content-type", "application/json", "accept-encoding", "identity"];
  return mergeHeaders(fixedHeaders, agent === undefined ? encoded : [...encoded, "user-agent", agent]);
}
