import type { IncomingHttpHeaders } from "node:http";

/** What a caller proved itself with. Both forms are in use: current SDKs send their API key as a Bearer. */
export interface Credential {
  readonly header: "x-api-key" | "authorization";
  readonly token: string;
  /** True when an `authorization` came beside the `x-api-key` that decides. */
  readonly beside: boolean;
}

/**
 * The credential that decides: a non-empty `x-api-key` alone, else a Bearer. An empty header counts as absent (Claude
 * Code sends an empty one beside its token). A scheme other than Bearer counts as absent too.
 */
export function readCredential(headers: IncomingHttpHeaders): Credential | undefined {
  const bearer = bearerToken(headers.authorization);
  const apiKey = headers["x-api-key"];
  if (typeof apiKey === "string" && apiKey.trim() !== "")
    return { header: "x-api-key", token: apiKey.trim(), beside: bearer !== undefined };
  return bearer === undefined ? undefined : { header: "authorization", token: bearer, beside: false };
}

/** The sentence of a 401: it names the header that was used, so that people look at the right variable. */
export function describeRefusal(credential: Credential | undefined, why = "invalid"): string {
  if (credential === undefined) return "x-api-key header is required (or authorization: Bearer).";
  if (credential.header === "authorization") return `${why} bearer token in the authorization header.`;
  if (!credential.beside) return `${why} x-api-key`;
  return `${why} x-api-key (the authorization header came too and was not looked at: x-api-key decides alone).`;
}

function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8) return undefined;
  if (authorization.slice(0, 7).toLowerCase() !== "bearer ") return undefined;
  const token = authorization.slice(7).trim();
  return token === "" ? undefined : token;
}
