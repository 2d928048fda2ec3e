import type { AnthropicProviderConfig } from "#shared/config/schema.ts";
import type { Adapter, EncodeGiven, UpstreamRequest } from "../adapter.ts";
import { authorize } from "../bedrock/authorize.ts";
import { classifyFronted } from "../bedrock/classify-fronted.ts";
import { classify as classifyOnGoogle } from "../vertex/classify.ts";
import { withCredential } from "../with-credential.ts";
import { classify, classifyEvent, isStream } from "./classify.ts";
import { decode } from "./decode.ts";
import { encode, encodeBatch, type AnthropicWire } from "./encode.ts";
import { createStreamDecoder } from "./stream-decoder.ts";

/** The Messages API itself, and every server that speaks it: bytes pass as they came. */
export function createAnthropicAdapter(config: AnthropicProviderConfig): Adapter {
  const sign = createSign(config);
  const wire: AnthropicWire = { pathPrefix: pathPrefixOf(config.baseUrl), fixedHeaders: fixedHeadersOf(config) };
  return {
    origin: new URL(config.baseUrl).origin,
    counts: true,
    encode: (call, target, given) => sign(encode(wire, call, target), given),
    encodeBatch: (exchange) => encodeBatch(wire, exchange),
    decode,
    createStreamDecoder,
    isStream,
    // Their platforms' fronts have errors of their own.
    classify: config.auth === "aws" ? classifyFronted : config.auth === "google" ? classifyOnGoogle : classify,
    classifyEvent,
  };
}

type Sign = (request: UpstreamRequest, given: EncodeGiven) => UpstreamRequest;

/** A key is one of the fixed headers; what platforms want is made for each request. */
function createSign({ auth, baseUrl, region = "" }: AnthropicProviderConfig): Sign {
  if (auth === "google") return withCredential;
  if (auth !== "aws") return (request) => request;
  const scope = { host: new URL(baseUrl).host, region, service: "aws-external-anthropic" };
  return (request, given) => authorize(request, scope, given);
}

/** A base URL that was copied with its `/v1` works too. */
function pathPrefixOf(baseUrl: string): string {
  return new URL(baseUrl).pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
}

function fixedHeadersOf(config: AnthropicProviderConfig): string[] {
  const isKey = config.auth === "x-api-key" || config.auth === "bearer";
  const credential =
    !isKey || config.apiKey === undefined || config.apiKey === ""
      ? []
      : config.auth === "bearer"
        ? ["authorization", `Bearer ${config.apiKey}`]
        : ["x-api-key", config.apiKey];
  return [...credential, ...Object.entries(config.headers).flat()];
}
