import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ProviderConfig, ProviderType } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { Operation } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { createVoice } from "../../services/worker/adapters/registry.ts";
import type { Json } from "./arbitrary/words.ts";
import { everyKind, messagesRequest } from "./messages-arbitrary.ts";
import { typeFaults, type TypedValues } from "./type-faults.ts";
import { vendorTypes } from "./vendor-types.ts";
import { configs, credentials } from "./wires.ts";

interface Wire {
  /** The name that `vendorTypes` has for its bodies. */
  readonly type: string;
  readonly provider: ProviderType;
  /** Where it is another than that of the recorded calls. */
  readonly config?: ProviderConfig;
  readonly operation?: Operation;
  readonly models: readonly string[];
}

const claude = ["claude-opus-4-8"];
const gemini = ["gemini-3-pro", "gemini-2.5-flash", "gemini-2.0-flash"];
const openai = ["gpt-6", "gpt-5", "gpt-4.1", "o3"];
const operation = "count_tokens";
const onVertex: ProviderConfig = { ...configs.gemini, api: "vertex" };
const responses: ProviderConfig = configs["openai-responses"];
const mantle: ProviderConfig = { ...configs.bedrock, api: "mantle" };

const wires: readonly Wire[] = [
  { type: "AnthropicMessages", provider: "anthropic", models: claude },
  { type: "AnthropicCount", provider: "anthropic", models: claude, operation },
  { type: "FoundryMessages", provider: "foundry", models: claude },
  { type: "FoundryCount", provider: "foundry", models: claude, operation },
  { type: "BedrockMessages", provider: "bedrock", models: ["global.anthropic.claude-opus-4-8"] },
  { type: "BedrockCount", provider: "bedrock", models: ["anthropic.claude-opus-4-8"], operation },
  { type: "MantleMessages", provider: "bedrock", config: mantle, models: ["anthropic.claude-opus-4-8"] },
  { type: "VertexMessages", provider: "vertex", models: claude },
  { type: "VertexCount", provider: "vertex", models: claude, operation },
  { type: "OpenaiChat", provider: "openai", models: openai },
  { type: "OpenaiResponses", provider: "openai", config: responses, models: openai },
  { type: "OpenaiResponsesCount", provider: "openai", config: responses, models: openai, operation },
  { type: "GeminiGenerate", provider: "gemini", models: gemini },
  { type: "GeminiGenerate", provider: "gemini", config: onVertex, models: gemini },
  { type: "GeminiCount", provider: "gemini", models: gemini, operation },
  { type: "GeminiVertexCount", provider: "gemini", config: onVertex, models: gemini, operation },
];

interface Difference {
  readonly types: RegExp;
  readonly members: readonly string[];
  readonly because: string;
}

/** Everything that goes out beside what the vendors' types know; none where it is not named here. */
const differences: readonly Difference[] = [
  {
    types: /^(?:Anthropic|Foundry|Bedrock|Mantle|Vertex)/,
    members: ["temperature", "top_p", "top_k"],
    because: "callers of version 2023-06-01 may say them; the SDKs speak the version after it, which has none",
  },
];

/** Members that a count has too, beside those that everybody leaves out of one. */
const counted = new Set(["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "speed"]);
const others = ["cache_control", "mcp_servers", "context_management", "output_format", "temperature", "top_p", "top_k"];

function countOf(request: Json): Json {
  return Object.fromEntries(
    Object.entries(request).filter(([member]) => counted.has(member) || others.includes(member)),
  );
}

/** What goes out for each of the requests that this wire can say. */
function bodiesOf(wire: Wire, requests: readonly Json[]): Json[] {
  const { provider, models, operation: asked = "messages" } = wire;
  const { adapter } = createVoice(wire.config ?? configs[provider]);
  return requests.flatMap((request, index) => {
    const body = Buffer.from(JSON.stringify(asked === "messages" ? request : countOf(request)));
    const { model: askedModel, splices, stream } = readBody(body, asked);
    const headers = { "anthropic-version": "2023-06-01" };
    const call = { id: "call_1", operation: asked, stream, askedModel, headers, body, splices };
    const target = { provider, model: models[index % models.length] ?? "" };
    try {
      const given = { credential: credentials[provider], now: 0 };
      const encoded = adapter.encode({ ...call, refusedBetas: undefined }, target, given);
      return [JSON.parse(Buffer.concat([...encoded.body]).toString()) as Json];
    } catch (reason) {
      if (reason instanceof GatewayError && reason.code === "invalid_request") return [];
      throw reason;
    }
  });
}

/** AWS wants the body to be counted as the bytes that InvokeModel would get. */
function unwrapped(type: string, body: Json): Json {
  if (type !== "BedrockCount") return body;
  const { input } = body as { readonly input: { readonly invokeModel: { readonly body: string } } };
  return JSON.parse(Buffer.from(input.invokeModel.body, "base64").toString()) as Json;
}

const met = new Set<string>();

function withoutDifferences(type: string, body: Json): Json {
  const known = differences.filter(({ types }) => types.test(type)).flatMap(({ members }) => members);
  return Object.fromEntries(
    Object.entries(body).filter(([member]) => {
      if (known.includes(member)) met.add(member);
      return !known.includes(member);
    }),
  );
}

/** Bodies as no vendor takes them: with a word too much at the top and deeper, and without a word they need. */
function spoilt(body: Json): Json[] {
  const place = ["messages", "input", "contents", "generateContentRequest"].find((name) => name in body) ?? "";
  const inside: unknown = body[place];
  const spoil = (value: unknown): unknown => ({ ...(value as Json), cache_controls: 1 });
  const deeper = Array.isArray(inside) ? [spoil(inside[0]), ...(inside as unknown[]).slice(1)] : spoil(inside);
  const less = Object.fromEntries(Object.entries(body).filter(([name]) => name !== place));
  const more = [
    { ...body, cache_controls: 1 },
    { ...body, [place]: deeper },
  ];
  // OpenAI's types would do without.
  return place === "input" ? more : [...more, less];
}

test("whatever a caller may ask goes out as the vendors' own types have it", { timeout: 120_000 }, () => {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  const given = wires.map((wire, position): TypedValues => {
    const { type, models } = wire;
    const isOwn = ["openai", "gemini"].includes(wire.provider);
    const asked = isOwn ? models.flatMap((model) => [model, "claude-opus-4-8"]) : models;
    const random = fc.sample(messagesRequest(asked), { seed, numRuns: isOwn ? 300 : 30 });
    const requests = [...everyKind(asked), ...random];
    // Wires of Claude's send what the caller says, all of them the same: each is asked a part of it.
    const bodies = bodiesOf(wire, isOwn ? requests : requests.filter((_, index) => index % 3 === position % 3));
    return { type, values: bodies.map((body) => withoutDifferences(type, unwrapped(type, body))) };
  });
  process.stdout.write(`seed ${seed}: ${given.map(({ type, values }) => `${values.length} ${type}`).join(", ")}\n`);
  const mutants = given.map(({ type, values }) => ({ type, values: spoilt(values[0] as Json) }));
  const faults = typeFaults(vendorTypes, [...given, ...mutants]);
  const wrong = new Set(mutants.flatMap(({ values }) => values));
  expect(faults.filter(({ value }) => !wrong.has(value as Json)).slice(0, 5)).toEqual([]);
  const found = new Set(faults.map(({ value }) => value));
  expect(mutants.flatMap(({ values }) => values).filter((mutant) => !found.has(mutant))).toEqual([]);
  expect([...met].toSorted()).toEqual(differences.flatMap(({ members }) => members).toSorted());
});
