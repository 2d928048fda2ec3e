import OpenAI from "openai";
import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import type { Operation } from "#shared/messages/call.ts";
import { createOpenaiWire } from "../../services/simulator/wires/openai.ts";
import { createResponsesWire } from "../../services/simulator/wires/openai-responses.ts";
import type { Adapter, DecodeContext, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { createVoice } from "../../services/worker/adapters/registry.ts";
import { readStream } from "../../services/worker/adapters/translate/stream-grammar.ts";
import { claudeCall } from "./claude-call.ts";
import { usualDifferences, useWireOracle, type WireOracle } from "./use-wire-oracle.ts";

type Body = Readonly<Record<string, unknown>>;

/** Headers in which the vendor's SDK and we differ, beside the usual ones. */
const differences = { ...usualDifferences, accept: "the SDK asks streams for JSON too; servers go by the body" };

/** The simulator's wires of OpenAI's APIs, and who asks them. */
export interface OpenaiOracle {
  /** Of our adapter. */
  readonly config: OpenaiProviderConfig;
  vendor(): OpenAI;
  /** What our adapter makes of a Messages request; what is not said of it is usual. */
  encode(members: object, operation?: Operation): UpstreamRequest;
  send: WireOracle["send"];
  /** The SDK's request and ours say the same. */
  expectEqualRequests(): void;
  /** The answer to a request as our adapter reads it. */
  whole(members: object, operation?: Operation): Promise<Body>;
  streamed(members: object): Promise<Body | undefined>;
}

export async function useOpenaiOracle(api: OpenaiProviderConfig["api"]): Promise<OpenaiOracle> {
  const { url, send, expectEqualRequests } = await useWireOracle((deps) => [
    createOpenaiWire(deps),
    createResponsesWire(deps),
  ]);
  const baseUrl = `${url}/v1`;
  const config: OpenaiProviderConfig = {
    type: "openai",
    api,
    baseUrl,
    apiKey: "sk-1",
    organization: "org-1",
    headers: {},
    connections: 1,
    threads: false,
    models: {},
    maxTokensField: "max_completion_tokens",
  };
  const { adapter } = createVoice(config);
  const encode: OpenaiOracle["encode"] = (members, operation) => encodeWith(adapter, members, operation);
  return {
    config,
    vendor: () => new OpenAI({ apiKey: "sk-1", baseURL: baseUrl, organization: "org-1", maxRetries: 0 }),
    encode,
    send,
    expectEqualRequests: () => expectEqualRequests(differences),
    async whole(members, operation) {
      const { head, body } = await send(encode(members, operation));
      return JSON.parse(String(adapter.decode(contextOf(members, operation), head, body)?.body)) as Body;
    },
    async streamed(members) {
      const decoder = adapter.createStreamDecoder(contextOf(members));
      const { body } = await send(encode({ ...members, stream: true }));
      const events = [decoder.push(body), decoder.end()].filter((piece) => piece !== undefined);
      return readStream(Buffer.concat(events)).message;
    },
  };
}

const usual = { model: "gpt-5", max_tokens: 500, messages: [{ role: "user", content: "hi" }] };

function bodyOf(members: object, operation: Operation = "messages"): Buffer {
  const { max_tokens: most, ...fields } = { ...usual, ...members };
  return Buffer.from(JSON.stringify(operation === "messages" ? { ...fields, max_tokens: most } : fields));
}

function contextOf(members: object, operation: Operation = "messages"): DecodeContext {
  return { callId: "call_1", operation, askedModel: "m", body: bodyOf(members, operation) };
}

function encodeWith(adapter: Adapter, members: object, operation: Operation = "messages"): UpstreamRequest {
  const call = claudeCall(String(bodyOf(members, operation)), { operation });
  return adapter.encode(call, { provider: "p", model: call.askedModel }, { credential: undefined, now: 0 });
}
