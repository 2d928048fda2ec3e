import type { EncodeGiven, UpstreamRequest } from "./adapter.ts";
import { mergeHeaders } from "./merge-headers.ts";

/** The request with the headers that its credential is. */
export function withCredential(request: UpstreamRequest, { credential }: EncodeGiven): UpstreamRequest {
  if (credential?.kind !== "headers") return request;
  return { ...request, headers: mergeHeaders(credential.headers, request.headers) };
}
