import { expect, test } from "vitest";
import type { ProviderConfig } from "#shared/config/schema.ts";
import { setCacheBreakpoint } from "#shared/messages/auto-caching.ts";
import { readBody } from "#shared/messages/body.ts";
import { createVoice } from "../../services/worker/adapters/registry.ts";
import { configs, credentials } from "./wires.ts";

// A cache is found again by its bytes: marks, and everything around them, go out as they came.

const mark = '"cache_control" : { "ttl":"1h", "type":"ephemeral" }';
const tools = `[ {"name":"a","input_schema":{"z":1,"a":2},${mark}} ]`;
const system = `[{"type":"text","text":"b\\u00e4r \\/ B\u00e4r",  ${mark}}]`;
const messages = `[{"role":"user","content":[{"type":"text","text":"c","cache_control":{"type":"ephemeral"}}]}]`;
const body = `{"model":"claude-opus-4-8","tools":${tools},"max_tokens":5,"system":${system},"messages":${messages}}`;

function send(config: ProviderConfig, bytes: Buffer): { readonly text: string; readonly notes: readonly string[] } {
  const facts = readBody(bytes, "messages");
  const call = {
    id: "call_marks",
    operation: "messages",
    stream: false,
    askedModel: facts.model,
    headers: { "anthropic-version": "2023-06-01" },
    body: bytes,
    splices: facts.splices,
    refusedBetas: undefined,
  } as const;
  const target = { provider: "p", model: "upstream-model" };
  const request = createVoice(config).adapter.encode(call, target, { credential: credentials[config.type], now: 0 });
  return { text: Buffer.concat([...request.body]).toString(), notes: request.notes ?? [] };
}

const claudeWires: readonly (readonly [string, ProviderConfig])[] = [
  ["anthropic", configs.anthropic],
  ["bedrock", configs.bedrock],
  [
    "bedrock mantle",
    { ...configs.bedrock, api: "mantle", baseUrl: "https://bedrock-mantle.us-east-1.api.aws/anthropic" },
  ],
  ["vertex", configs.vertex],
  ["foundry", configs.foundry],
];

test.each(claudeWires)("%s gets every mark, byte for byte", (_, config) => {
  const { text } = send(config, Buffer.from(body));
  for (const part of [`"tools":${tools}`, `"system":${system}`, `"messages":${messages}`]) expect(text).toContain(part);
  expect(JSON.parse(text)).toHaveProperty("tools.0.cache_control.ttl", "1h");
});

test.each(claudeWires)("%s gets the breakpoint that was set for the caller", (_, config) => {
  const asked = `{"model":"m","system":"Be kind.","providerOptions":{"gateway":{"caching":"auto"}},"max_tokens":5,"messages":[]}`;
  const { text } = send(config, setCacheBreakpoint(Buffer.from(asked)).bytes);
  expect(text).toContain('"system":[{"type":"text","text":"Be kind.","cache_control":{"type":"ephemeral"}}]');
  expect(text).not.toContain("providerOptions");
});

test.each(["openai", "gemini"] as const)("%s, which caches by itself, gets none, and the trace says so", (type) => {
  const plain = body.replace('"model":"claude-opus-4-8"', '"model":"other"');
  const { text, notes } = send(configs[type], Buffer.from(plain));
  expect(text).not.toContain("cache_control");
  expect(notes.join()).toContain("cache_control");
});
