import { RateLimitError } from "@anthropic-ai/sdk";
import type { MessageCreateParamsNonStreaming } from "@anthropic-ai/sdk/resources/messages";
import { AnthropicVertex } from "@anthropic-ai/vertex-sdk";
import { OAuth2Client } from "google-auth-library";
import { describe, expect, test } from "vitest";
import type { VertexProviderConfig } from "#shared/config/schema.ts";
import type { Operation } from "#shared/messages/call.ts";
import type { UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createVertexAdapter } from "../../services/worker/adapters/vertex/adapter.ts";
import { claudeCall } from "../support/claude-call.ts";
import { claudeCases, useClaudeOracle } from "../support/claude-oracle.ts";
import { usualDifferences } from "../support/use-wire-oracle.ts";

/** Everything in which the vendor's SDK and we differ; what is not named here is equal. */
const differences = {
  headers: usualDifferences,
  version: "the classic one is called vertex-2023-10-16, as its documentation has it; the SDK only sends the later one",
} as const;

const model = "claude-haiku-4-5@20251001";

const oracle = await useClaudeOracle();

function vendor(): AnthropicVertex {
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: "token", expiry_date: Date.now() + 3_600_000 });
  const options = { region: "europe-west1", projectId: "acme", baseURL: `${oracle.url}/v1`, maxRetries: 0 };
  return new AnthropicVertex({ ...options, authClient });
}

interface Asked {
  readonly operation?: Operation;
  readonly betas?: string;
}

function encode(members: object, { operation = "messages", betas }: Asked = {}): UpstreamRequest {
  const config: VertexProviderConfig = {
    type: "vertex",
    baseUrl: oracle.url,
    headers: {},
    connections: 1,
    threads: false,
    models: {},
    project: "acme",
    region: "europe-west1",
  };
  const headers = { "anthropic-version": "2026-10-21", ...(betas === undefined ? {} : { "anthropic-beta": betas }) };
  return createVertexAdapter(config).encode(
    claudeCall({ model, ...members }, { operation, headers }),
    { provider: "p", model },
    { credential: { kind: "headers", headers: ["authorization", "Bearer token"] }, now: 0 },
  );
}

const params = (members: object): MessageCreateParamsNonStreaming =>
  ({ max_tokens: 2000, model, ...members }) as MessageCreateParamsNonStreaming;

const expectEqualRequests = (): void => oracle.expectEqualRequests(differences.headers);

const hi = { messages: [{ role: "user", content: "hi" }] };

describe("our request is the SDK's", () => {
  test.each(claudeCases)("%s", async (_, members) => {
    await vendor().messages.create(params(members));
    const { head } = await oracle.send(encode(params(members)));
    expect(head.status).toBe(200);
    expectEqualRequests();
  });

  test("for a stream, of which both read the same", async () => {
    const message = await vendor().messages.stream(params(hi)).finalMessage();
    const { body } = await oracle.send(encode({ ...params(hi), stream: true }));
    expectEqualRequests();
    const said = [...String(body).matchAll(/"text_delta","text":("(?:[^"\\]|\\.)*")/g)];
    expect(message.content).toMatchObject([
      { text: said.map(([, json]) => JSON.parse(json ?? "") as string).join("") },
    ]);
  });

  test("with betas", async () => {
    const betas = ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"];
    await vendor().beta.messages.create({ ...params(hi), betas } as never);
    await oracle.send(encode(params(hi), { betas: betas.join(",") }));
    expectEqualRequests();
  });

  test("for a count", async () => {
    const { input_tokens: counted } = await vendor().messages.countTokens({ model, ...hi } as never);
    const { body } = await oracle.send(encode(hi, { operation: "count_tokens" }));
    expectEqualRequests();
    expect(JSON.parse(String(body))).toEqual({ input_tokens: counted });
  });
});

describe("the simulator's Vertex is one for the SDK", () => {
  test("an exhausted quota is a rate limit, also where it comes in an array", async () => {
    const limited = { messages: [{ role: "user", content: "hi [sim:429]" }] };
    await expect(vendor().messages.create(params(limited))).rejects.toBeInstanceOf(RateLimitError);
    await expect(vendor().messages.stream(params(limited)).finalMessage()).rejects.toBeInstanceOf(RateLimitError);
    const { head, body } = await oracle.send(encode({ ...params(limited), stream: true }));
    expect(JSON.parse(String(body))).toMatchObject([{ error: { status: "RESOURCE_EXHAUSTED" } }]);
    const adapter = createVertexAdapter({ baseUrl: oracle.url, headers: {} } as VertexProviderConfig);
    expect(adapter.classify(head, body)).toMatchObject({ reason: "rate_limited", envelope: false });
  });

  test("an error inside a stream is one", async () => {
    const failing = { messages: [{ role: "user", content: "hi [sim:error-after=1 type=overloaded_error]" }] };
    await expect(vendor().messages.stream(params(failing)).finalMessage()).rejects.toMatchObject({
      type: "overloaded_error",
    });
  });
});
