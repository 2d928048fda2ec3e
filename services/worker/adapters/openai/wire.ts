import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import { mergeHeaders } from "../merge-headers.ts";

/** What encoding needs to know of one provider. */
export interface OpenaiWire {
  /** Path of the base URL, without a trailing slash. */
  readonly pathPrefix: string;
  readonly query: string;
  /** The key's, the organization's and the configured headers: name, value, name, value … */
  readonly fixedHeaders: readonly string[];
  readonly maxTokensField: OpenaiProviderConfig["maxTokensField"];
  /** Compatible servers want their reasoning back; the vendor itself shows none, and refuses members it does not know. */
  readonly echoesReasoning: boolean;
}

export function openaiWire(config: OpenaiProviderConfig): OpenaiWire {
  const { hostname, pathname, search } = new URL(config.baseUrl);
  return {
    pathPrefix: pathname.replace(/\/+$/, ""),
    query: search,
    fixedHeaders: fixedHeadersOf(config),
    maxTokensField: config.maxTokensField,
    echoesReasoning: hostname !== "api.openai.com",
  };
}

/** A configured header stands in for one of ours. */
function fixedHeadersOf({ apiKey, headers, organization }: OpenaiProviderConfig): string[] {
  return mergeHeaders(Object.entries(headers).flat(), [
    ...(apiKey === undefined || apiKey === "" ? [] : ["authorization", `Bearer ${apiKey}`]),
    ...(organization === undefined ? [] : ["openai-organization", organization]),
  ]);
}

/** Of a request with a JSON body. @param stream whether events are asked for */
export function requestHeaders(wire: OpenaiWire, stream: boolean): string[] {
  return mergeHeaders(wire.fixedHeaders, [
    "content-type",
    "application/json",
    "accept",
    stream ? "text/event-stream" : "application/json",
    // What is decoded as it comes must not be compressed.
    "accept-encoding",
    "identity",
  ]);
}
