import { describe, expect, test } from "vitest";
import type { VertexProviderConfig } from "#shared/config/schema.ts";
import { claudeCall, headersOf, textOf, type AskedCall } from "../../../../test/support/claude-call.ts";
import type { UpstreamRequest } from "../adapter.ts";
import { createVertexAdapter } from "./adapter.ts";

const config: VertexProviderConfig = {
  type: "vertex",
  baseUrl: "https://europe-west1-aiplatform.googleapis.com",
  headers: { "x-own": "1" },
  connections: 1,
  threads: false,
  models: {},
  project: "acme",
  region: "europe-west1",
};
const plain = { model: "claude-x", max_tokens: 1, messages: [{ role: "user", content: "hi" }] };
const models = "/v1/projects/acme/locations/europe-west1/publishers/anthropic/models";

interface Given extends AskedCall {
  readonly body?: string | object;
  readonly model?: string;
  readonly config?: Partial<VertexProviderConfig>;
}

function encode({
  body = plain,
  model = "claude-haiku-4-5@20251001",
  config: other,
  ...asked
}: Given = {}): UpstreamRequest {
  const credential = {
    kind: "headers",
    headers: ["authorization", "Bearer t", "x-goog-user-project", "paying"],
  } as const;
  const target = { provider: "p", model };
  return createVertexAdapter({ ...config, ...other }).encode(claudeCall(body, asked), target, { credential, now: 0 });
}

describe("the path", () => {
  test("names project, region, model and method", () => {
    expect(encode().path).toBe(`${models}/claude-haiku-4-5@20251001:rawPredict`);
    expect(encode({ body: { ...plain, stream: true } }).path).toBe(
      `${models}/claude-haiku-4-5@20251001:streamRawPredict`,
    );
    expect(encode({ operation: "count_tokens" }).path).toBe(`${models}/count-tokens:rawPredict`);
  });
  test.each([
    ["a;b", "a%3Bb"],
    ["a/b", "a%2Fb"],
    ["a?b#c", "a%3Fb%23c"],
  ])("model %s is one segment", (model, segment) =>
    expect(encode({ model }).path).toBe(`${models}/${segment}:rawPredict`),
  );
  test.each(["http://127.0.0.1:1/proxy", "http://127.0.0.1:1/proxy/v1"])("keeps the prefix of %s", (baseUrl) => {
    expect(encode({ config: { baseUrl } }).path).toMatch(/^\/proxy\/v1\/projects\/acme\//);
  });
});

describe("the body", () => {
  test("has the version instead of the model, keeps stream, and keeps every other byte", () => {
    const body = '{"model":"claude-x","stream":true, "max_tokens":1,"messages":[ ],"providerOptions":{}}';
    expect(textOf(encode({ body }))).toBe(
      '{"anthropic_version":"vertex-2023-10-16","stream":true, "max_tokens":1,"messages":[ ]}',
    );
  });
  test("of a later version names it", () => {
    const request = encode({ headers: { "anthropic-version": "2026-10-21" } });
    expect(JSON.parse(textOf(request))).toMatchObject({ anthropic_version: "2026-10-21" });
  });
  test("of a count keeps the model, by its name there", () => {
    expect(JSON.parse(textOf(encode({ operation: "count_tokens" })))).toMatchObject({
      anthropic_version: "vertex-2023-10-16",
      model: "claude-haiku-4-5@20251001",
    });
  });
  test("cannot have fallbacks", () => {
    expect(() => encode({ body: { ...plain, fallbacks: [{ model: "m" }] } })).toThrow(/^fallbacks: /);
  });
});

test("betas go in the header, the version does not; token and billed project are there", () => {
  const given = { headers: { "anthropic-beta": "a, b" }, call: { refusedBetas: new Set(["b"]) } };
  const headers = headersOf(encode({ ...given, body: { ...plain, anthropic_beta: ["c"] } }));
  expect(headers).toMatchObject({
    "anthropic-beta": "a,c",
    authorization: "Bearer t",
    "x-goog-user-project": "paying",
    "x-own": "1",
  });
  expect(headers).not.toHaveProperty("anthropic-version");
  const betas = { header: ["named"], body: [], dropped: ["a"] };
  expect(headersOf(encode({ ...given, call: { betas } }))["anthropic-beta"]).toBe("named");
});
