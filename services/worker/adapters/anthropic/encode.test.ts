import { describe, expect, test } from "vitest";
import type { AnthropicProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { ForwardedHeaders } from "#shared/messages/call.ts";
import type { Credential, ProviderCall, UpstreamRequest } from "../adapter.ts";
import { createAnthropicAdapter } from "./adapter.ts";

const body = Buffer.from('{"model":"claude-x", "max_tokens":1,"messages":[],"providerOptions":{"gateway":{}}}');
const config: AnthropicProviderConfig = {
  type: "anthropic",
  baseUrl: "https://api.example",
  apiKey: "secret",
  auth: "x-api-key",
  headers: {},
  connections: 1,
  threads: true,
  models: {},
};

interface Given {
  readonly config?: Partial<AnthropicProviderConfig>;
  readonly call?: Partial<Omit<ProviderCall, "id">>;
  readonly headers?: Partial<ForwardedHeaders>;
  readonly model?: string;
  readonly credential?: Credential;
}

function encode(given: Given = {}): UpstreamRequest {
  const facts = readBody(body, "messages");
  const call: ProviderCall = {
    id: "call_1",
    operation: "messages",
    stream: false,
    askedModel: facts.model,
    headers: { "anthropic-version": "2023-06-01", ...given.headers },
    body,
    splices: facts.splices,
    refusedBetas: undefined,
    ...given.call,
  };
  const adapter = createAnthropicAdapter({ ...config, ...given.config });
  return adapter.encode(
    call,
    { provider: "p", model: given.model ?? "claude-x" },
    {
      credential: given.credential,
      now: 0,
    },
  );
}

function header(request: UpstreamRequest, name: string): string[] {
  return request.headers.filter((_, i) => i % 2 === 1 && request.headers[i - 1] === name);
}

describe("the request", () => {
  test.each([
    ["https://api.example", "/v1/messages"],
    ["https://api.example/anthropic", "/anthropic/v1/messages"],
    ["https://api.example/anthropic/v1/", "/anthropic/v1/messages"],
  ])("goes from %s to %s", (baseUrl, path) => expect(encode({ config: { baseUrl } }).path).toBe(path));

  test("of a count goes to the counter", () =>
    expect(encode({ call: { operation: "count_tokens" } }).path).toBe("/v1/messages/count_tokens"));

  test("carries the provider's key in the header it wants, and none where it has none", () => {
    expect(header(encode(), "x-api-key")).toEqual(["secret"]);
    const bearer = encode({ config: { auth: "bearer" } });
    expect(header(bearer, "authorization")).toEqual(["Bearer secret"]);
    expect(header(bearer, "x-api-key")).toEqual([]);
    const { apiKey: _, ...keyless } = config;
    expect(createAnthropicAdapter(keyless).encode).toBeTypeOf("function");
  });

  test("is signed for AWS' platform, with its workspace; a key is not sent beside", () => {
    const aws = { kind: "aws", accessKeyId: "AKIDEXAMPLE", secretAccessKey: "s", sessionToken: "t" } as const;
    const headers = { "anthropic-workspace-id": "wrkspc_1" };
    const request = encode({
      config: { auth: "aws", region: "us-east-1", headers },
      credential: aws,
      call: { operation: "count_tokens" },
    });
    expect(header(request, "authorization")[0]).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/19700101\/us-east-1\/aws-external-anthropic\/aws4_request, /,
    );
    expect(header(request, "x-amz-security-token")).toEqual(["t"]);
    expect(header(request, "anthropic-workspace-id")).toEqual(["wrkspc_1"]);
    expect(header(request, "x-api-key")).toEqual([]);
    expect(request.path).toBe("/v1/messages/count_tokens");
  });

  test("has a token for Google's platform, below its project and workspace", () => {
    const baseUrl = "https://claude.example/v1/projects/p/locations/global/workspaces/w/invoke";
    const token = { kind: "headers", headers: ["authorization", "Bearer token"] } as const;
    const request = encode({ config: { auth: "google", baseUrl }, credential: token });
    expect(header(request, "authorization")).toEqual(["Bearer token"]);
    expect(header(request, "x-api-key")).toEqual([]);
    expect(request.path).toBe("/v1/projects/p/locations/global/workspaces/w/invoke/v1/messages");
  });

  test("asks for an uncompressed answer and forwards only what is to be forwarded", () => {
    const request = encode({ headers: { accept: "application/json", "user-agent": "u/1", "anthropic-beta": "a,b" } });
    expect(header(request, "accept-encoding")).toEqual(["identity"]);
    expect(header(request, "user-agent")).toEqual(["u/1"]);
    expect(header(request, "anthropic-beta")).toEqual(["a,b"]);
    expect(header(request, "anthropic-version")).toEqual(["2023-06-01"]);
  });

  test("a configured header stands in for the caller's", () => {
    const request = encode({
      config: { headers: { "user-agent": "mine", "x-extra": "1" } },
      headers: { "user-agent": "u" },
    });
    expect(header(request, "user-agent")).toEqual(["mine"]);
    expect(header(request, "x-extra")).toEqual(["1"]);
  });

  test("leaves out the beta flags the target refuses", () => {
    const refusedBetas = new Set(["b"]);
    expect(
      header(encode({ headers: { "anthropic-beta": "a, b,c" }, call: { refusedBetas } }), "anthropic-beta"),
    ).toEqual(["a,c"]);
    expect(header(encode({ headers: { "anthropic-beta": "b" }, call: { refusedBetas } }), "anthropic-beta")).toEqual(
      [],
    );
  });
});

describe("the body", () => {
  test("is the caller's buffer itself where nothing changes", () => {
    const { providerOptions: _, ...splices } = readBody(body, "messages").splices;
    expect(encode({ call: { splices } }).body[0]).toBe(body);
  });
  test("has the provider's name of the model and no routing wishes", () => {
    const text = Buffer.concat([...encode({ model: 'up"1' }).body]).toString();
    expect(text).toBe('{"model":"up\\"1", "max_tokens":1,"messages":[]}');
  });
});
