import { describe, expect, test } from "vitest";
import type { FoundryProviderConfig } from "#shared/config/schema.ts";
import { claudeCall, headersOf, textOf } from "../../../../test/support/claude-call.ts";
import type { FailureReason } from "../adapter.ts";
import { createFoundryAdapter } from "./adapter.ts";

const config: FoundryProviderConfig = {
  type: "foundry",
  baseUrl: "https://acme.services.ai.azure.com/anthropic",
  headers: {},
  connections: 1,
  threads: false,
  models: {},
  auth: "api-key",
};
const adapter = createFoundryAdapter(config);

test("a call goes to the deployment by the Messages API, its bytes kept", () => {
  const call = claudeCall('{"model":"claude-x", "max_tokens":1,"messages":[ ],"providerOptions":{}}', {
    headers: { "anthropic-beta": "a" },
  });
  const credential = { kind: "headers", headers: ["x-api-key", "k"] } as const;
  const request = adapter.encode(call, { provider: "p", model: "my deployment" }, { credential, now: 0 });
  expect(adapter.origin + request.path).toBe("https://acme.services.ai.azure.com/anthropic/v1/messages");
  expect(textOf(request)).toBe('{"model":"my deployment", "max_tokens":1,"messages":[ ]}');
  expect(headersOf(request)).toMatchObject({
    "x-api-key": "k",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "a",
  });
});

test("fallbacks are refused, so that another target is asked; where they say nothing, the bytes stay", () => {
  const encode = (member: string): string =>
    textOf(
      adapter.encode(
        claudeCall(`{"model":"claude-x","max_tokens":1,${member},"messages":[]}`),
        { provider: "p", model: "claude-x" },
        { credential: undefined, now: 0 },
      ),
    );
  expect(() => encode('"fallbacks":[{"model":"m"}]')).toThrow("fallbacks: Not available where this model is served");
  expect(encode('"fallbacks": []')).toContain('"fallbacks": []');
  expect(encode('"container":"c_1"')).toContain('"container":"c_1"');
});

describe("an error of Azure's front", () => {
  const azure = (code: string): string => JSON.stringify({ error: { code, message: "m" } });
  test.each<readonly [number, string, FailureReason]>([
    [404, azure("DeploymentNotFound"), "not_found"],
    [400, azure("invalid_deployment"), "not_found"],
    [401, azure("401"), "credential_refused"],
    [401, azure("PermissionDenied"), "forbidden"],
    [403, azure("ExpiredAuthenticationToken"), "credential_refused"],
    [429, azure("429"), "rate_limited"],
    [429, azure("insufficient_quota"), "account_exhausted"],
    [401, '{"statusCode":401,"message":"Access denied due to invalid subscription key"}', "credential_refused"],
    [503, "<html>", "overloaded"],
    [500, azure("constructor"), "server_error"],
  ])("%i %s is %s", (status, body, reason) => {
    expect(adapter.classify({ status, headers: {} }, Buffer.from(body))).toMatchObject({ reason, envelope: false });
  });
});

test("an error of the model's own is the Messages API's", () => {
  const body = Buffer.from('{"type":"error","error":{"type":"not_found_error","message":"m"}}');
  expect(adapter.classify({ status: 404, headers: {} }, body)).toMatchObject({ reason: "not_found", envelope: true });
});
