import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { describe, expect, test } from "vitest";
import { encodeSegment, signRequest, type AwsCredential, type UnsignedRequest } from "./sign-request.ts";

const now = Date.UTC(2026, 10, 22, 3, 4, 5, 678);
const credential: AwsCredential = { kind: "aws", accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalr/EXAMPLE+KEY" };

class NodeSha256 {
  readonly #hash: Hash | Hmac;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret as Buffer);
  }
  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {}
}

/** What the official signer makes of the same request. */
async function officialHeaders(request: UnsignedRequest, from: AwsCredential): Promise<Record<string, string>> {
  const signer = new SignatureV4({ service: "bedrock", region: "us-east-1", credentials: from, sha256: NodeSha256 });
  const signed = await signer.sign(
    {
      method: "POST",
      protocol: "https:",
      hostname: request.host,
      path: request.path,
      query: {},
      headers: { ...request.headers, host: request.host },
      body: Buffer.concat([...request.body]),
    },
    { signingDate: new Date(now) },
  );
  return signed.headers;
}

function ownHeaders(request: UnsignedRequest, from: AwsCredential): Record<string, string> {
  const flat = signRequest(request, { credential: from, region: "us-east-1", service: "bedrock", now });
  const headers: Record<string, string> = { ...request.headers, host: request.host };
  for (let i = 0; i < flat.length; i += 2) headers[flat[i] ?? ""] = flat[i + 1] ?? "";
  return headers;
}

const base: UnsignedRequest = {
  host: "bedrock-runtime.us-east-1.amazonaws.com",
  path: "/model/anthropic.claude-haiku-4-5/invoke",
  headers: { "content-type": "application/json" },
  body: [Buffer.from('{"a":'), Buffer.from("1}")],
};

describe("a signature equals the official signer's", () => {
  test.each<readonly [string, UnsignedRequest, AwsCredential]>([
    ["of a plain request", base, credential],
    ["with a session token", base, { ...credential, sessionToken: "FwoGZXIvYXdzEJr//+=" }],
    [
      "with an encoded colon in the path",
      { ...base, path: `/model/${encodeSegment("a.claude-v1:0")}/invoke` },
      credential,
    ],
    [
      "with an ARN in the path",
      {
        ...base,
        path: `/model/${encodeSegment("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.x")}/invoke-with-response-stream`,
      },
      credential,
    ],
    ["with a bare colon in the path", { ...base, path: "/model/a.claude-v1:0/invoke" }, credential],
    ["with odd characters in the path", { ...base, path: `/p/model/${encodeSegment("a!'()*~ é")}/invoke` }, credential],
    ["with more headers", { ...base, headers: { accept: "a/b", "x-some": "two  blanks " } }, credential],
    ["of an empty body", { ...base, body: [Buffer.alloc(0)] }, credential],
    ["with a port", { ...base, host: "127.0.0.1:4567" }, credential],
  ])("%s", async (_, request, from) => {
    expect(ownHeaders(request, from)).toEqual(await officialHeaders(request, from));
  });
});

test("another body, path, date or secret is another signature", () => {
  const authorization = (request: UnsignedRequest, from = credential, at = now): string | undefined =>
    signRequest(request, { credential: from, region: "us-east-1", service: "bedrock", now: at }).at(-1);
  const first = authorization(base);
  expect(authorization(base)).toBe(first);
  expect(authorization({ ...base, body: [Buffer.from("{}")] })).not.toBe(first);
  expect(authorization({ ...base, path: "/model/x/invoke" })).not.toBe(first);
  expect(authorization(base, { ...credential, secretAccessKey: "other" })).not.toBe(first);
  expect(authorization(base, credential, now + 1000)).not.toBe(first);
});
