import type { EncodeGiven, UpstreamRequest } from "../adapter.ts";
import { headerOf, mergeHeaders } from "../merge-headers.ts";
import { withCredential } from "../with-credential.ts";
import { signRequest } from "./sign-request.ts";

/** Where signatures are for. */
export interface SigningScope {
  readonly host: string;
  readonly region: string;
  /** `bedrock`, `bedrock-mantle`. */
  readonly service: string;
}

/** The request with its credential: a signature over all that matters of it, or a key. */
export function authorize(request: UpstreamRequest, scope: SigningScope, given: EncodeGiven): UpstreamRequest {
  const { credential, now } = given;
  if (credential?.kind !== "aws") return withCredential(request, given);
  const { host, region, service } = scope;
  const headers = { "content-type": headerOf(request.headers, "content-type") ?? "application/json" };
  const { path, body } = request;
  const signature = signRequest({ host, path, headers, body }, { credential, region, service, now });
  return { ...request, headers: mergeHeaders(signature, request.headers) };
}
