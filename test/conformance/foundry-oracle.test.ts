import { AnthropicFoundry } from "@anthropic-ai/foundry-sdk";
import { NotFoundError } from "@anthropic-ai/sdk";
import type { MessageCreateParamsNonStreaming } from "@anthropic-ai/sdk/resources/messages";
import { describe, expect, test } from "vitest";
import type { FoundryProviderConfig } from "#shared/config/schema.ts";
import type { Operation } from "#shared/messages/call.ts";
import type { UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createFoundryAdapter } from "../../services/worker/adapters/foundry/adapter.ts";
import { createFoundryCredentials } from "../../services/worker/credentials/entra.ts";
import { claudeCall } from "../support/claude-call.ts";
import { claudeCases, useClaudeOracle } from "../support/claude-oracle.ts";
import { usualDifferences } from "../support/use-wire-oracle.ts";

/** Everything in which the vendor's SDK and we differ; what is not named here is equal. */
const differences = {
  headers: {
    ...usualDifferences,
    "anthropic-dangerous-direct-browser-access": "the SDK takes a token's caller for a browser",
  },
} as const;

/** The name of a deployment. */
const model = "claude-of-ours";

const oracle = await useClaudeOracle();

function vendor(): AnthropicFoundry {
  return new AnthropicFoundry({ apiKey: "key", baseURL: `${oracle.url}/anthropic/`, maxRetries: 0 });
}

const config: Omit<FoundryProviderConfig, "baseUrl"> = {
  type: "foundry",
  headers: {},
  connections: 1,
  threads: false,
  models: {},
  auth: "api-key",
  apiKey: "key",
};

interface Asked {
  readonly operation?: Operation;
  readonly betas?: string;
  readonly bearer?: string;
}

function encode(members: object, { operation = "messages", betas, bearer }: Asked = {}): UpstreamRequest {
  const adapter = createFoundryAdapter({ ...config, baseUrl: `${oracle.url}/anthropic` });
  const headers = { "anthropic-version": "2026-10-21", ...(betas === undefined ? {} : { "anthropic-beta": betas }) };
  const credential =
    bearer === undefined
      ? createFoundryCredentials(config)?.current
      : ({ kind: "headers", headers: ["authorization", `Bearer ${bearer}`] } as const);
  return adapter.encode(
    claudeCall({ ...members, model: "claude-opus-4-8" }, { operation, headers }),
    { provider: "p", model },
    { credential, now: 0 },
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

  test("for a stream", async () => {
    const message = await vendor().messages.stream(params(hi)).finalMessage();
    await oracle.send(encode({ ...params(hi), stream: true }));
    expectEqualRequests();
    expect(message.stop_reason).toBe("end_turn");
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

  test("with an Entra token", async () => {
    const sdk = new AnthropicFoundry({
      azureADTokenProvider: () => Promise.resolve("eyJ"),
      baseURL: `${oracle.url}/anthropic/`,
    });
    await sdk.messages.create(params(hi));
    await oracle.send(encode(params(hi), { bearer: "eyJ" }));
    expectEqualRequests();
  });
});

test("the simulator's Foundry tells of a missing deployment as Azure does", async () => {
  await expect(vendor().messages.create({ ...params(hi), model: "nowhere" })).rejects.toBeInstanceOf(NotFoundError);
  const adapter = createFoundryAdapter({ ...config, baseUrl: `${oracle.url}/anthropic` });
  const call = claudeCall({ ...params(hi), model: "x" });
  const credential = createFoundryCredentials(config)?.current;
  const { head, body } = await oracle.send(
    adapter.encode(call, { provider: "p", model: "nowhere" }, { credential, now: 0 }),
  );
  expect(adapter.classify(head, body)).toMatchObject({ reason: "not_found", detail: "unknown deployment" });
});
