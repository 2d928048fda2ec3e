import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { GeminiProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { Operation } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { DecodeContext, UpstreamHead, UpstreamRequest } from "../adapter.ts";
import { createGeminiAdapter } from "./adapter.ts";
import { classify } from "./classify.ts";
import { createStreamDecoder } from "./stream-decoder.ts";

const root = new URL("../../../../test/fixtures/gemini/", import.meta.url);
const config: GeminiProviderConfig = {
  type: "gemini",
  api: "ai-studio",
  baseUrl: "https://generativelanguage.googleapis.com",
  headers: {},
  connections: 1,
  threads: false,
  models: {},
};
const adapter = createGeminiAdapter(config);
const cases = readdirSync(root).map((name) => {
  const file = (part: string): URL => new URL(`${name}/${part}`, root);
  const has = (part: string): boolean => existsSync(file(part));
  const json = (part: string): unknown => JSON.parse(readFileSync(file(part), "utf8"));
  const body = Buffer.from(JSON.stringify(json("request.json")));
  const { operation = "messages" } = (has("call.json") ? json("call.json") : {}) as { operation?: Operation };
  const context: DecodeContext = { callId: "call_fixture", operation, askedModel: "gemini-3-pro", body };
  const whole = ["upstream.json", "upstream.html"].find(has);
  return { name, file, has, json, body, context, whole };
});
type Case = (typeof cases)[number];

const withFile = (part: string): Case[] => cases.filter(({ has }) => has(part));
const headOf = ({ has, json }: Case): UpstreamHead =>
  has("upstream-head.json")
    ? (json("upstream-head.json") as UpstreamHead)
    : { status: 200, headers: { "content-type": "application/json; charset=UTF-8" } };

function encode({ body, context: { operation, callId: id } }: Case): UpstreamRequest {
  const { model: askedModel, splices } = readBody(body, operation);
  const headers = { "anthropic-version": "2023-06-01" };
  return adapter.encode(
    { id, operation, stream: false, askedModel, headers, body, splices, refusedBetas: undefined },
    { provider: "gemini", model: askedModel },
    { credential: undefined, now: 0 },
  );
}

describe("recorded calls", () => {
  test.each(withFile("expected-request.json"))("$name goes out as it was recorded", (given) => {
    const { path, body: sent, notes } = encode(given);
    const encoded: unknown = JSON.parse(Buffer.concat([...sent]).toString());
    expect({ path, body: encoded, ...(notes ? { notes } : {}) }).toEqual(given.json("expected-request.json"));
  });

  test.each(withFile("expected-refusal.json"))("$name is refused by its place", (given) => {
    const { message } = given.json("expected-refusal.json") as { message: string };
    expect(() => encode(given)).toThrow(new GatewayError("invalid_request", message));
  });
});

describe("recorded answers", () => {
  test.each(withFile("expected.json"))("$name is a Message", (given) => {
    const answer = adapter.decode(given.context, headOf(given), readFileSync(given.file(given.whole ?? "")));
    expect(JSON.parse(String(answer?.body))).toEqual(given.json("expected.json"));
  });

  test.each(withFile("expected-failure.json"))("$name is a failure", (given) => {
    const bytes = readFileSync(given.file(given.whole ?? ""));
    expect(adapter.decode(given.context, headOf(given), bytes)).toBeUndefined();
    const { retryAt, answer, ...failure } = classify(headOf(given), bytes, 0);
    expect({
      ...failure,
      ...(retryAt === undefined ? {} : { retryInMs: retryAt }),
      ...(answer ? { answer: JSON.parse(answer.toString()) as unknown } : {}),
    }).toEqual(given.json("expected-failure.json"));
  });

  test.each(withFile("upstream.sse"))("$name streams the same wherever its bytes are cut", ({ context, file }) => {
    const bytes = readFileSync(file("upstream.sse"));
    const expected = readFileSync(file("expected.sse"), "utf8");
    const decode = (chunks: readonly Buffer[]): string => {
      const decoder = createStreamDecoder(context);
      const out = [...chunks.map((chunk) => decoder.push(chunk)), decoder.end()];
      return Buffer.concat(out.filter((piece) => piece !== undefined)).toString();
    };
    for (let cut = 0; cut <= bytes.length; cut += 1)
      expect(decode([bytes.subarray(0, cut), bytes.subarray(cut)])).toBe(expected);
    expect(decode(Array.from(bytes, (_, index) => bytes.subarray(index, index + 1)))).toBe(expected);
  });

  test.each(withFile("expected.json").filter(({ has }) => has("expected.sse")))(
    "$name is the same whole and streamed",
    ({ file, json }) => {
      const events = readFileSync(file("expected.sse"), "utf8").matchAll(/^data: (.*)$/gm);
      const message = json("expected.json") as { content: { type: string; text?: string; thinking?: string }[] };
      const kinds = new Map<unknown, string>();
      let text = "";
      for (const [, data = ""] of events) {
        const event = JSON.parse(data) as { index?: number; content_block?: { type: string }; delta?: object };
        if (event.content_block) kinds.set(event.index, event.content_block.type);
        const { text: said = "", thinking = "" } = (event.delta ?? {}) as { text?: string; thinking?: string };
        text += said + thinking;
      }
      expect([...kinds.values()]).toEqual(message.content.map(({ type }) => type));
      expect(text).toBe(message.content.map((block) => block.text ?? block.thinking ?? "").join(""));
    },
  );
});
