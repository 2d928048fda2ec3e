import { describe, expect, test } from "vitest";
import type { BedrockProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { ForwardedHeaders, Operation } from "#shared/messages/call.ts";
import type { EncodeGiven, ProviderCall, UpstreamRequest } from "../adapter.ts";
import { createBedrockAdapter } from "./adapter.ts";

const config: BedrockProviderConfig = {
  type: "bedrock",
  baseUrl: "https://bedrock-runtime.us-east-1.amazonaws.com",
  headers: {},
  connections: 1,
  threads: false,
  models: {},
  region: "us-east-1",
  api: "invoke",
};
const signed: EncodeGiven = {
  credential: { kind: "aws", accessKeyId: "AKID", secretAccessKey: "secret", sessionToken: "token" },
  now: Date.UTC(2026, 10, 22, 3, 4, 5),
};

interface Given {
  readonly body?: Record<string, unknown>;
  readonly text?: string;
  readonly model?: string;
  readonly operation?: Operation;
  readonly headers?: Partial<ForwardedHeaders>;
  readonly call?: Partial<ProviderCall>;
  readonly config?: Partial<BedrockProviderConfig>;
  readonly given?: EncodeGiven;
}

const messages = [{ role: "user", content: "hi" }];

function encode(asked: Given = {}): UpstreamRequest {
  const operation = asked.operation ?? "messages";
  const body = Buffer.from(asked.text ?? JSON.stringify({ model: "claude-x", max_tokens: 1, messages, ...asked.body }));
  const facts = readBody(body, operation);
  const call: ProviderCall = {
    id: "call_1",
    operation,
    stream: facts.stream,
    askedModel: facts.model,
    headers: { "anthropic-version": "2023-06-01", ...asked.headers },
    body,
    splices: facts.splices,
    refusedBetas: undefined,
    ...asked.call,
  };
  const target = { provider: "p", model: asked.model ?? "us.anthropic.claude-haiku-4-5-20251001-v1:0" };
  return createBedrockAdapter({ ...config, ...asked.config }).encode(call, target, asked.given ?? signed);
}

function textOf(request: UpstreamRequest): string {
  return Buffer.concat([...request.body]).toString();
}

function jsonOf(request: UpstreamRequest): Record<string, unknown> {
  return JSON.parse(textOf(request)) as Record<string, unknown>;
}

function header(request: UpstreamRequest, name: string): string | undefined {
  const at = request.headers.indexOf(name);
  return at === -1 ? undefined : request.headers[at + 1];
}

describe("the path", () => {
  test.each([
    ["us.anthropic.claude-x-v1:0", "/model/us.anthropic.claude-x-v1%3A0/invoke"],
    [
      "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12",
      "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fab12/invoke",
    ],
  ])("carries %s as one segment", (model, path) => expect(encode({ model }).path).toBe(path));

  test("of a stream is another one, and keeps the base URL's prefix", () => {
    const request = encode({ body: { stream: true }, model: "m", config: { baseUrl: "http://127.0.0.1:1/proxy" } });
    expect(request.path).toBe("/proxy/model/m/invoke-with-response-stream");
  });
});

describe("the body", () => {
  test("loses model, stream and wishes, gains the version, and keeps every other byte", () => {
    const text =
      '{ "model" : "claude-x","stream":true , "max_tokens":1,\n "messages":[ {"role":"user","content":"\\u00e9"} ],"providerOptions":{"gateway":{}}}';
    expect(textOf(encode({ text }))).toBe(
      '{"anthropic_version":"bedrock-2023-05-31"  , "max_tokens":1,\n "messages":[ {"role":"user","content":"\\u00e9"} ]}',
    );
  });

  test.each([
    ["2023-06-01", "anthropic.claude-opus-4-7", "bedrock-2023-05-31", false],
    ["2026-10-21", "us.anthropic.claude-opus-4-7", "2026-10-21", false],
    ["2026-10-21", "global.anthropic.claude-sonnet-5", "2026-10-21", false],
    ["2026-10-21", "anthropic.claude-opus-4-6-v1", "bedrock-2023-05-31", true],
    ["2026-10-21", "anthropic.claude-sonnet-4-20250514-v1:0", "bedrock-2023-05-31", true],
    ["2026-10-21", "anthropic.claude-3-5-sonnet-20241022-v2:0", "bedrock-2023-05-31", true],
    ["2026-10-21", "arn:aws:bedrock:us-east-1:1:application-inference-profile/ab", "bedrock-2023-05-31", true],
  ])("for %s and %s says %s", (...row) => {
    const [asked, model, version, noted] = row;
    const request = encode({ headers: { "anthropic-version": asked }, model });
    expect(jsonOf(request)["anthropic_version"]).toBe(version);
    expect(request.notes !== undefined).toBe(noted);
  });

  test("has the betas, of header and body, and no header has them", () => {
    const request = encode({ headers: { "anthropic-beta": "a, b" }, body: { anthropic_beta: ["b", "c"] } });
    expect(jsonOf(request)["anthropic_beta"]).toEqual(["a", "b", "c"]);
    expect(header(request, "anthropic-beta")).toBeUndefined();
    expect(header(request, "anthropic-version")).toBeUndefined();
    const refused = encode({ headers: { "anthropic-beta": "a" }, call: { refusedBetas: new Set(["a"]) } });
    expect(jsonOf(refused)).not.toHaveProperty("anthropic_beta");
  });

  test("has a mark for the whole conversation on its last block", () => {
    const cache_control = { type: "ephemeral" };
    const request = encode({ body: { cache_control } });
    expect(jsonOf(request)).not.toHaveProperty("cache_control");
    expect(jsonOf(request)).toHaveProperty("messages.0.content", [{ type: "text", text: "hi", cache_control }]);
    expect(request.notes).toEqual(["adapted: cache_control"]);
    expect(encode({ body: { cache_control: null } }).notes).toBeUndefined();
  });

  test("has what the betas table says, and nothing else", () => {
    const betas = { header: [], body: ["renamed"], dropped: ["b"] };
    const request = encode({ headers: { "anthropic-beta": "a,b" }, body: { anthropic_beta: ["c"] }, call: { betas } });
    expect(jsonOf(request)["anthropic_beta"]).toEqual(["renamed"]);
  });

  test.each(["fallbacks", "container", "mcp_servers"])("cannot have %s", (member) => {
    const value = member === "container" ? "c_1" : [{ model: "m" }];
    expect(() => encode({ body: { [member]: value } })).toThrow(`${member}: Not available where this model is served`);
    expect(jsonOf(encode({ body: { [member]: null } }))).not.toHaveProperty(member);
  });
});

describe("a count", () => {
  function innerOf(request: UpstreamRequest): unknown {
    const { input } = jsonOf(request) as { input: { invokeModel: { body: string } } };
    return JSON.parse(Buffer.from(input.invokeModel.body, "base64").toString());
  }

  test("wraps the body and asks the model itself", () => {
    const request = encode({ operation: "count_tokens", text: JSON.stringify({ model: "claude-x", messages }) });
    expect(request.path).toBe("/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens");
    expect(innerOf(request)).toEqual({ anthropic_version: "bedrock-2023-05-31", max_tokens: 1, messages });
  });

  test.each([
    ["global.anthropic.claude-opus-4-7", "anthropic.claude-opus-4-7"],
    ["us-gov.anthropic.claude-x-v1%3A0".replace("%3A", ":"), "anthropic.claude-x-v1%3A0"],
    ["anthropic.claude-x", "anthropic.claude-x"],
    ["arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-x", "anthropic.claude-x"],
    ["arn:aws:bedrock:eu-west-1:1:application-inference-profile/ab12", "anthropic.claude-x"],
  ])("of %s asks %s", (model, counted) => {
    expect(encode({ operation: "count_tokens", model }).path).toBe(`/model/${counted}/count-tokens`);
  });

  test("leaves out what the counter does not know, and says so", () => {
    const tools = [
      { name: "t", input_schema: {}, eager_input_streaming: true },
      { name: "u", input_schema: {} },
    ];
    const request = encode({ operation: "count_tokens", body: { tools } });
    expect(innerOf(request)).toMatchObject({
      tools: [
        { name: "t", input_schema: {} },
        { name: "u", input_schema: {} },
      ],
    });
    expect(request.notes).toEqual(["dropped: eager_input_streaming"]);
  });
});

describe("the credential", () => {
  test("is a signature over host, date, token and body", () => {
    expect(header(encode(), "authorization")).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKID\/20261122\/us-east-1\/bedrock\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
    );
    expect(header(encode(), "x-amz-security-token")).toBe("token");
  });

  test("may be an API key", () => {
    const given: EncodeGiven = { credential: { kind: "headers", headers: ["authorization", "Bearer k"] }, now: 0 };
    const request = encode({ given });
    expect(header(request, "authorization")).toBe("Bearer k");
    expect(header(request, "x-amz-date")).toBeUndefined();
  });
});

test("only the user agent of the caller's headers goes along", () => {
  const headers = { accept: "text/event-stream", "content-type": "application/json; charset=x", "user-agent": "me" };
  const request = encode({ headers, config: { headers: { "x-own": "1" } } });
  expect(header(request, "accept")).toBe("application/json");
  expect(header(request, "content-type")).toBe("application/json");
  expect(header(request, "user-agent")).toBe("me");
  expect(header(request, "x-own")).toBe("1");
});

test("Mantle gets the Messages API's request, signed for it", () => {
  const request = encode({
    config: { api: "mantle", baseUrl: "https://bedrock-mantle.us-east-1.api.aws/anthropic" },
    model: "anthropic.claude-opus-5",
    headers: { "anthropic-beta": "a" },
  });
  expect(request.path).toBe("/anthropic/v1/messages");
  expect(jsonOf(request)["model"]).toBe("anthropic.claude-opus-5");
  expect(header(request, "anthropic-version")).toBe("2023-06-01");
  expect(header(request, "authorization")).toContain("/us-east-1/bedrock-mantle/aws4_request");
});

test.each(["fallbacks", "container", "mcp_servers"])("Mantle cannot have %s", (member) => {
  const config = { api: "mantle", baseUrl: "https://bedrock-mantle.us-east-1.api.aws/anthropic" } as const;
  const value = member === "container" ? "c_1" : [{ model: "m" }];
  expect(() => encode({ config, body: { [member]: value } })).toThrow(`${member}: Not available`);
  expect(jsonOf(encode({ config, body: { text: `"${member}"` } }))).toHaveProperty("text");
});
