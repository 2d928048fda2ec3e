import { createHash, createHmac, hash } from "node:crypto";
import type { Credential } from "../adapter.ts";

export type AwsCredential = Extract<Credential, { readonly kind: "aws" }>;

/** A POST before it is signed. */
export interface UnsignedRequest {
  /** With the port where it is not the scheme's own. */
  readonly host: string;
  /** As it goes onto the wire: percent-encoded once. Without a query. */
  readonly path: string;
  /** The headers that the signature covers, beside those it adds: name in lower case to value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Buffer[];
}

/** Whose signature, when, and what for. */
export interface Signing {
  readonly credential: AwsCredential;
  readonly region: string;
  /** `bedrock`, `bedrock-mantle`. */
  readonly service: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const algorithm = "AWS4-HMAC-SHA256";

/**
 * The headers that AWS' Signature Version 4 adds to this request: name, value, name, value … The official signer only
 * works asynchronously, which an encoder must not; the tests hold this one to it.
 */
export function signRequest(request: UnsignedRequest, { credential, region, service, now }: Signing): string[] {
  const time = new Date(now).toISOString().replaceAll(/[:-]|\.\d{3}/g, "");
  const payloadHash = hashPieces(request.body);
  const added: Record<string, string> = {
    "x-amz-date": time,
    "x-amz-content-sha256": payloadHash,
    ...(credential.sessionToken === undefined ? {} : { "x-amz-security-token": credential.sessionToken }),
  };
  const signed = Object.entries({ ...request.headers, host: request.host, ...added })
    .map(([name, value]) => [name.toLowerCase(), value.replaceAll(/\s+/g, " ").trim()] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(";");
  const canonicalRequest = [
    "POST",
    canonicalPath(request.path),
    "",
    ...signed.map(([name, value]) => `${name}:${value}`),
    "",
    names,
    payloadHash,
  ].join("\n");
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
  const text = `${algorithm}\n${time}\n${scope}\n${hash("sha256", canonicalRequest)}`;
  const key = scope.split("/").reduce<Buffer | string>(sign, `AWS4${credential.secretAccessKey}`);
  const signature = sign(key, text).toString("hex");
  const authorization = `${algorithm} Credential=${credential.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return [...Object.entries(added).flat(), "authorization", authorization];
}

/** A path segment as AWS wants it encoded: everything but unreserved characters. */
export function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Every service but S3 signs the encoded path encoded once more. */
function canonicalPath(path: string): string {
  return path.split("/").map(encodeSegment).join("/");
}

function hashPieces(pieces: readonly Buffer[]): string {
  const sha = createHash("sha256");
  for (const piece of pieces) sha.update(piece);
  return sha.digest("hex");
}

function sign(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
