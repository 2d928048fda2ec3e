import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readBody } from "#shared/messages/body.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { readChatRequest } from "../../services/simulator/wires/openai/chat-request.ts";
import { readResponsesRequest } from "../../services/simulator/wires/openai-responses/responses-request.ts";
import type { Adapter, DecodeContext, ProviderCall, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createVoice } from "../../services/worker/adapters/registry.ts";
import { readCases } from "./fixture-case.ts";
import { everyKind, messagesRequest } from "./messages-arbitrary.ts";
import { cover, requestKinds, type Coverage } from "./request-kinds.ts";
import { grammarFaults } from "./stream-grammar.ts";
import { configs, credentials, wireNames, type WireName } from "./wires.ts";

const translated = ["openai", "openai-responses", "gemini"] as const;
const models: { readonly [Type in WireName]: readonly string[] } = {
  anthropic: ["claude-opus-4-8"],
  bedrock: ["global.anthropic.claude-opus-4-8", "anthropic.claude-opus-4-5-20251101-v1:0"],
  vertex: ["claude-opus-4-8"],
  foundry: ["claude-opus-4-8"],
  openai: ["gpt-6", "gpt-4.1", "deepseek-v4"],
  "openai-responses": ["gpt-6", "gpt-4.1", "gpt-5-mini"],
  gemini: ["gemini-3-pro", "gemini-2.5-flash", "gemini-2.0-flash"],
};
type Json = Readonly<Record<string, unknown>>;

const runs = { numRuns: 300 };

function callOf(request: object, operation: "messages" | "count_tokens" = "messages"): ProviderCall & DecodeContext {
  const body = Buffer.from(JSON.stringify(request));
  const { model, splices, stream } = readBody(body, operation);
  return {
    id: "call_property",
    callId: "call_property",
    operation,
    stream,
    askedModel: model,
    headers: { "anthropic-version": "2023-06-01" },
    body,
    splices,
    refusedBetas: undefined,
  };
}

function adapterOf(type: WireName): Adapter {
  return createVoice(configs[type]).adapter;
}

describe("a valid request", () => {
  test.each(wireNames)("becomes JSON for %s, or is refused naming one of its members", (type) => {
    const adapter = adapterOf(type);
    const given = { credential: credentials[type], now: 0 };
    const coverage: Coverage = new Map();
    const outcomes = { said: 0, refused: 0 };
    const asked = models[type].flatMap((model) => [model, "claude-opus-4-8"]);
    const property = fc.property(messagesRequest(asked), fc.constantFrom(...models[type]), (request, model) => {
      cover(request, coverage);
      try {
        const sent = adapter.encode(callOf(request), { provider: type, model }, given);
        JSON.parse(Buffer.concat([...sent.body]).toString());
        outcomes.said += 1;
      } catch (reason) {
        expect(reason).toBeInstanceOf(GatewayError);
        const { code, message } = reason as GatewayError;
        expect(code).toBe("invalid_request");
        const [, member = ""] = /^([a-z_]+)[.:]/.exec(message) ?? [];
        expect(Object.keys(request)).toContain(member);
        outcomes.refused += 1;
      }
    });
    const examples = everyKind(asked).map((request): [object, string] => [request, models[type][0] ?? ""]);
    fc.assert(property, { numRuns: examples.length + 300, examples });
    expect(outcomes.said).toBeGreaterThan(0);
    const kinds = requestKinds.map((kind) => `${kind} ${coverage.get(kind) ?? 0}`);
    process.stdout.write(`${type}: ${outcomes.said} said, ${outcomes.refused} refused; ${kinds.join(", ")}\n`);
    expect(requestKinds.filter((kind) => !coverage.has(kind))).toEqual([]);
  });
});

describe("a valid request that becomes one of OpenAI's", () => {
  const checks = {
    openai: (body: Json) => readChatRequest(body),
    "openai-responses": (body: Json) => readResponsesRequest(body, "create"),
  } as const;

  test.each(["openai", "openai-responses"] as const)("passes the checks of %s as the simulator has them", (wire) => {
    const adapter = adapterOf(wire);
    let taken = 0;
    const property = fc.property(messagesRequest(["claude-opus-4-8"]), (request) => {
      const target = { provider: wire, model: "gpt-5" };
      let sent: UpstreamRequest;
      try {
        sent = adapter.encode(callOf(request), target, { credential: undefined, now: 0 });
      } catch {
        return;
      }
      checks[wire](JSON.parse(Buffer.concat([...sent.body]).toString()) as Json);
      taken += 1;
    });
    fc.assert(property, runs);
    expect(taken).toBeGreaterThan(50);
  });
});

/** The upstream events of every recording of a type, each by itself. */
function recordedEvents(type: WireName): string[] {
  const streams = readCases().filter((given) => given.type === type && given.stream !== undefined);
  return streams.flatMap(({ stream }) => (stream?.bytes.toString() ?? "").split(/(?<=\r?\n\r?\n)/));
}

describe("a translated stream", () => {
  const context = callOf({ model: "asked", max_tokens: 9, messages: [{ role: "user", content: "hi" }] });

  test.each(translated)("of any sequence of %s's events obeys the grammar", (type) => {
    const adapter = adapterOf(type);
    const events = recordedEvents(type);
    expect(events.length).toBeGreaterThan(20);
    const garbage = fc.constantFrom(
      "data: {\n\n",
      "data: 7\n\n",
      ": ping\n\n",
      "event: x\n\n",
      "<html>\n\n",
      "data: null\n\n",
    );
    const sequence = fc.array(fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...events) }, garbage), {
      maxLength: 14,
    });
    const property = fc.property(sequence, fc.nat(), (chunks, seed) => {
      const bytes = Buffer.from(chunks.join(""));
      const cut = bytes.length === 0 ? 0 : seed % bytes.length;
      const decoder = adapter.createStreamDecoder(context);
      const pieces = [decoder.push(bytes.subarray(0, cut)), decoder.push(bytes.subarray(cut)), decoder.end()];
      const text = Buffer.concat(pieces.filter((piece) => piece !== undefined)).toString();
      expect(grammarFaults(text, { isCut: true })).toEqual([]);
    });
    fc.assert(property, { numRuns: 1_000 });
  });
});

describe("any bytes", () => {
  const context = callOf({ model: "asked", max_tokens: 9, messages: [{ role: "user", content: "hi" }] });
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

  test.each(wireNames)("as an answer of %s shake nothing", (type) => {
    const adapter = adapterOf(type);
    const contentType = type === "bedrock" ? "application/vnd.amazon.eventstream" : "text/event-stream";
    const whole = (status: number, body: Buffer): void => {
      const head = { status, headers: { "content-type": "application/json" } };
      if (!adapter.decode(context, head, body)) expect(adapter.classify(head, body).status).toBeGreaterThan(399);
    };
    const property = fc.property(bytes, bytes, fc.constantFrom(200, 400, 403, 404, 429, 500, 503), (a, b, status) => {
      whole(status, a);
      whole(status, Buffer.from(JSON.stringify([a.toString("latin1")])));
      expect(adapter.isStream({ status: 200, headers: { "content-type": contentType } })).toBe(true);
      const decoder = adapter.createStreamDecoder(context);
      decoder.push(a);
      decoder.push(b);
      decoder.end();
    });
    fc.assert(property, runs);
  });
});
