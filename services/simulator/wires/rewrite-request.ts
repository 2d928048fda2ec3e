import type { SimulatedRequest } from "./wire.ts";
import { isObject, type Json } from "./json.ts";

/** The key of a request, whichever way it came: a key's header, a bearer token, or who signed it. */
export function keyOf({ headers }: SimulatedRequest): string {
  const given = headers["x-api-key"] ?? headers["api-key"];
  if (typeof given === "string" && given !== "") return given;
  const authorization = headers.authorization ?? "";
  return (
    /^bearer (.+)$/i.exec(authorization)?.[1] ?? /^AWS4-HMAC-SHA256 Credential=([^/]+)\//.exec(authorization)?.[1] ?? ""
  );
}

/** What the Messages API would have been asked. */
export interface PlainRequest {
  readonly operation: "messages" | "count_tokens";
  readonly version: string;
  readonly betas: string;
  readonly body: Json;
}

/** The request as it would have come to the Messages API. */
export function rewriteRequest(
  request: SimulatedRequest,
  { operation, version, betas, body }: PlainRequest,
): SimulatedRequest {
  return {
    ...request,
    path: operation === "messages" ? "/v1/messages" : "/v1/messages/count_tokens",
    headers: {
      "x-api-key": keyOf(request),
      "anthropic-version": version,
      ...(betas === "" ? {} : { "anthropic-beta": betas }),
    },
    body: Buffer.from(JSON.stringify(body)),
  };
}

/** Undefined when the body is no JSON object. */
export function parseObject(bytes: Buffer): Json | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
