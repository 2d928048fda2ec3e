import { readBody } from "#shared/messages/body.ts";
import type { ForwardedHeaders, Operation } from "#shared/messages/call.ts";
import type { ProviderCall, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";

export interface AskedCall {
  readonly operation?: Operation;
  readonly headers?: Partial<ForwardedHeaders>;
  readonly call?: Partial<ProviderCall>;
}

/** A call as an adapter gets it, of this body. */
export function claudeCall(
  body: string | object,
  { operation = "messages", headers, call }: AskedCall = {},
): ProviderCall {
  const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  const facts = readBody(bytes, operation);
  return {
    id: "call_1",
    operation,
    stream: facts.stream,
    askedModel: facts.model,
    headers: { "anthropic-version": "2023-06-01", ...headers },
    body: bytes,
    splices: facts.splices,
    refusedBetas: undefined,
    ...call,
  };
}

export function textOf(request: UpstreamRequest): string {
  return Buffer.concat([...request.body]).toString();
}

export function headersOf(request: UpstreamRequest): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < request.headers.length; i += 2) headers[request.headers[i] ?? ""] = request.headers[i + 1] ?? "";
  return headers;
}
