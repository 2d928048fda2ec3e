import { AnthropicBedrock, AnthropicBedrockMantle } from "@anthropic-ai/bedrock-sdk";
import { RateLimitError } from "@anthropic-ai/sdk";
import type { MessageCreateParamsNonStreaming } from "@anthropic-ai/sdk/resources/messages";
import { describe, expect, test } from "vitest";
import type { BedrockProviderConfig } from "#shared/config/schema.ts";
import type { Credential, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createBedrockAdapter } from "../../services/worker/adapters/bedrock/adapter.ts";
import { signRequest, type AwsCredential } from "../../services/worker/adapters/bedrock/sign-request.ts";
import { claudeCall } from "../support/claude-call.ts";
import { claudeCases, useClaudeOracle } from "../support/claude-oracle.ts";
import { usualDifferences, type CapturedRequest } from "../support/use-wire-oracle.ts";

/** Everything in which the vendor's SDK and we differ; what is not named here is equal. */
const differences = {
  headers: {
    ...usualDifferences,
    "anthropic-beta": "goes in the body; the SDK leaves it in the header as well",
    authorization: "covers more headers there; compared by signing the SDK's request anew",
    "x-amz-date": "the time",
    "x-amz-content-sha256": "of a body whose members stand in another order",
  },
  path: "the SDK leaves a colon as it is, AWS' own encode it; both are signed as they are sent",
  version: "models before 4.7 know the classic version only, which the SDK does not care for",
  count: "the SDK cannot count on Bedrock",
} as const;

const region = "us-west-2";
const aws: AwsCredential = { kind: "aws", accessKeyId: "AKID", secretAccessKey: "se/cret+", sessionToken: "to/ken==" };
const model = "us.anthropic.claude-opus-4-8-v1:0";

const oracle = await useClaudeOracle();

const vendorKeys = { awsRegion: region, awsAccessKey: aws.accessKeyId, awsSessionToken: aws.sessionToken ?? "" };

function vendor(): AnthropicBedrock {
  return new AnthropicBedrock({ ...vendorKeys, awsSecretKey: aws.secretAccessKey, baseURL: oracle.url, maxRetries: 0 });
}

interface Asked {
  readonly credential?: Credential;
  readonly betas?: string;
  readonly mantle?: boolean;
}

const mantleModel = "anthropic.claude-opus-5";

function encode(members: object, { credential = aws, betas, mantle = false }: Asked = {}): UpstreamRequest {
  const config: BedrockProviderConfig = {
    type: "bedrock",
    baseUrl: mantle ? `${oracle.url}/anthropic` : oracle.url,
    headers: {},
    connections: 1,
    threads: false,
    models: {},
    region,
    api: mantle ? "mantle" : "invoke",
  };
  const headers = { "anthropic-version": "2026-10-21", ...(betas === undefined ? {} : { "anthropic-beta": betas }) };
  return createBedrockAdapter(config).encode(
    claudeCall({ max_tokens: 2000, model, ...members }, { headers }),
    { provider: "p", model: mantle ? mantleModel : model },
    { credential, now: Date.now() },
  );
}

const params = (members: object): MessageCreateParamsNonStreaming =>
  ({ max_tokens: 2000, model, ...members }) as MessageCreateParamsNonStreaming;

const expectEqualRequests = (): void => oracle.expectEqualRequests(differences.headers, decodeURIComponent);

/** The SDK's request, signed by us for the SDK's time, has the SDK's signature. */
function expectSameSignature({ headers, path, body }: CapturedRequest, service: string): void {
  const authorization = headers.authorization ?? "";
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(";") ?? [];
  const covered = names.filter((name) => name !== "host" && !name.startsWith("x-amz-"));
  const date = String(headers["x-amz-date"]).replace(/(....)(..)(..T..)(..)(..Z)/, "$1-$2-$3:$4:$5");
  const ours = signRequest(
    {
      host: headers.host ?? "",
      path,
      headers: Object.fromEntries(covered.map((name) => [name, String(headers[name])])),
      body: [body],
    },
    { credential: aws, region, service, now: Date.parse(date) },
  );
  expect(ours[ours.indexOf("authorization") + 1]).toBe(authorization);
}

describe("InvokeModel", () => {
  test.each(claudeCases)("%s is asked for as the SDK does, signed alike", async (_, members) => {
    await vendor().messages.create(params(members));
    const { head } = await oracle.send(encode(members));
    expect(head.status).toBe(200);
    expectEqualRequests();
    expectSameSignature(oracle.captured[0]!, "bedrock");
  });

  test("a stream is asked for as the SDK does, and both read the same of it", async () => {
    const members = { messages: [{ role: "user", content: "tell me [sim:say=Grüß_dich]" }] };
    const message = await vendor().messages.stream(params(members)).finalMessage();
    const { head, body } = await oracle.send(encode({ ...members, stream: true }));
    expectEqualRequests();
    const adapter = createBedrockAdapter({
      baseUrl: oracle.url,
      headers: {},
      region,
      api: "invoke",
    } as BedrockProviderConfig);
    expect(adapter.isStream(head)).toBe(true);
    const context = { callId: "c", operation: "messages", askedModel: model, body } as const;
    const text = String(adapter.createStreamDecoder(context).push(body));
    const said = [...text.matchAll(/"text_delta","text":("(?:[^"\\]|\\.)*")/g)].map(
      ([, json]) => JSON.parse(json ?? "") as string,
    );
    expect(message.content).toMatchObject([{ type: "text", text: said.join("") }]);
    expect(text).toMatch(/event: message_stop\ndata: \{"type":"message_stop"\}\n\n$/);
  });

  test("betas are asked for as the SDK does", async () => {
    const betas = ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"];
    const members = { messages: [{ role: "user", content: "hi" }] };
    await vendor().beta.messages.create({ ...params(members), betas } as never);
    await oracle.send(encode(members, { betas: betas.join(",") }));
    expectEqualRequests();
  });

  test("an API key is sent as the SDK does", async () => {
    const members = { messages: [{ role: "user", content: "hi" }] };
    await new AnthropicBedrock({ apiKey: "k", awsRegion: region, baseURL: oracle.url }).messages.create(
      params(members),
    );
    await oracle.send(encode(members, { credential: { kind: "headers", headers: ["authorization", "Bearer k"] } }));
    expectEqualRequests();
    expect(oracle.captured[1]?.headers.authorization).toBe(oracle.captured[0]?.headers.authorization);
  });
});

describe("the simulator's Bedrock is one for the SDK", () => {
  const create = (content: string, more: object = {}): Promise<unknown> =>
    vendor()
      .messages.create(params({ messages: [{ role: "user", content }], ...more }))
      .then((answer) => answer as unknown);

  test("tools and thinking come whole and streamed", async () => {
    const members = {
      tools: [{ name: "a", input_schema: { type: "object", properties: { x: { type: "string" } }, required: ["x"] } }],
      thinking: { type: "adaptive" },
      messages: [{ role: "user", content: "go [sim:tools=1 thinking=5]" }],
    };
    const whole = await vendor().messages.create(params(members));
    const streamed = await vendor().messages.stream(params(members)).finalMessage();
    expect(streamed.content.map(({ type }) => type)).toEqual(whole.content.map(({ type }) => type));
    expect(whole.stop_reason).toBe("tool_use");
  });

  test("a throttling is one", async () => {
    const failure: unknown = await create("hi [sim:429]").catch((reason: unknown) => reason);
    expect(failure).toBeInstanceOf(RateLimitError);
  });

  test("an exception inside a stream is one", async () => {
    const stream = vendor().messages.stream(
      params({ messages: [{ role: "user", content: "hi [sim:error-after=1 type=overloaded_error]" }] }),
    );
    await expect(stream.finalMessage()).rejects.toMatchObject({ type: "serviceUnavailableException" });
  });

  test("a body with a member too many is refused", async () => {
    await expect(create("hi", { fallbacks: [{ model: "x" }] })).rejects.toMatchObject({ status: 400 });
  });
});

describe("Mantle", () => {
  test.each(claudeCases)("%s is asked for as the SDK does, signed alike", async (_, members) => {
    const sdk = new AnthropicBedrockMantle({
      ...vendorKeys,
      awsSecretAccessKey: aws.secretAccessKey,
      baseURL: `${oracle.url}/anthropic`,
      maxRetries: 0,
    });
    await sdk.messages.create({ ...params(members), model: mantleModel });
    const { head } = await oracle.send(encode(members, { mantle: true }));
    expect(head.status).toBe(200);
    expectEqualRequests();
    expectSameSignature(oracle.captured[0]!, "bedrock-mantle");
  });
});
