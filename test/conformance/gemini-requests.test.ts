import { GoogleGenAI, type GenerateContentParameters } from "@google/genai";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readBody } from "#shared/messages/body.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { createGeminiAdapter } from "../../services/worker/adapters/gemini/adapter.ts";
import type { Json } from "./arbitrary/words.ts";
import { everyKind, messagesRequest } from "./messages-arbitrary.ts";
import { configs } from "./wires.ts";

interface Body {
  readonly contents: GenerateContentParameters["contents"];
  readonly generationConfig: object;
}

/** What the SDK makes of the members of our body: it throws for what it does not know, and leaves out what has no name. */
async function throughSdk({ contents, generationConfig, ...config }: Body, model: string): Promise<unknown> {
  let sent: unknown;
  const capture = (_: unknown, init?: RequestInit): Promise<Response> => {
    sent = JSON.parse(init?.body as string);
    return Promise.resolve(Response.json({ candidates: [] }));
  };
  const client = new GoogleGenAI({ apiKey: "key", httpOptions: { fetch: capture } });
  await client.models.generateContent({ model, contents, config: { ...config, ...generationConfig } });
  return sent;
}

const adapter = createGeminiAdapter(configs.gemini);

/** Undefined for what Gemini cannot be told. */
function encode(request: Json, model: string): Body | undefined {
  const body = Buffer.from(JSON.stringify(request));
  const { splices, stream, model: askedModel } = readBody(body, "messages");
  const call = {
    id: "call_1",
    operation: "messages",
    stream,
    askedModel,
    body,
    splices,
    refusedBetas: undefined,
  } as const;
  const headers = { "anthropic-version": "2023-06-01" };
  try {
    const encoded = adapter.encode(
      { ...call, headers },
      { provider: "gemini", model },
      { credential: undefined, now: 0 },
    );
    return JSON.parse(Buffer.concat([...encoded.body]).toString()) as Body;
  } catch (reason) {
    if (reason instanceof GatewayError && reason.code === "invalid_request") return undefined;
    throw reason;
  }
}

test("whatever a caller may ask goes out in words that Google's SDK knows all of", async () => {
  const asked = ["claude-opus-5", "claude-opus-5", "gemini-3-pro"];
  let said = 0;
  const property = fc.asyncProperty(
    messagesRequest(asked),
    fc.constantFrom("gemini-3-pro", "gemini-2.5-flash", "gemini-2.0-flash"),
    async (request, model) => {
      const ours = encode(request, model);
      if (ours === undefined) return;
      said += 1;
      expect(await throughSdk(ours, model)).toEqual(ours);
    },
  );
  const examples = everyKind(asked).map((request): [Json, string] => [request, "gemini-3-pro"]);
  await fc.assert(property, { numRuns: examples.length + 300, examples });
  expect(said).toBeGreaterThan(200);
});
