import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { ProviderConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { ForwardedHeaders, Operation } from "#shared/messages/call.ts";
import type { Adapter, DecodeContext, ProviderCall, UpstreamHead } from "../../services/worker/adapters/adapter.ts";
import { createVoice } from "../../services/worker/adapters/registry.ts";
import { configs, credentials, wireNames, type WireName } from "./wires.ts";

const root = new URL("../fixtures/", import.meta.url);

/** What a recorded call says beyond its body. */
interface CallNotes {
  readonly operation?: Operation;
  readonly headers?: Partial<ForwardedHeaders>;
  /** The provider's id of the model, where it is not the body's. */
  readonly model?: string;
  readonly config?: Partial<ProviderConfig>;
}

interface StreamFile {
  readonly bytes: Buffer;
  readonly head: UpstreamHead;
}

/** One folder of test/fixtures: a call, what the provider was sent, what it answered, and what the caller got. */
export interface FixtureCase {
  readonly type: WireName;
  readonly name: string;
  readonly adapter: Adapter;
  readonly call: ProviderCall & DecodeContext;
  readonly target: { readonly provider: string; readonly model: string };
  /** The recorded whole answer. */
  readonly whole: StreamFile | undefined;
  /** The recorded stream. */
  readonly stream: StreamFile | undefined;
  has(part: string): boolean;
  json(part: string): unknown;
  text(part: string): string;
}

export function readCases(): FixtureCase[] {
  const types = wireNames.filter((type) => existsSync(new URL(type, root)));
  return types.flatMap((type) => readdirSync(new URL(type, root)).map((name) => readCase(type, name)));
}

/** The recorded case as a call of the engine's would be encoded; streamed when `stream` says so. */
export function encodeCase(
  { type, adapter, call, target }: FixtureCase,
  stream = false,
): ReturnType<Adapter["encode"]> {
  return adapter.encode({ ...call, stream }, target, { credential: credentials[type], now: 0 });
}

function readCase(type: WireName, name: string): FixtureCase {
  const file = (part: string): URL => new URL(`${type}/${name}/${part}`, root);
  const has = (part: string): boolean => existsSync(file(part));
  const text = (part: string): string => readFileSync(file(part), "utf8");
  const json = (part: string): unknown => JSON.parse(text(part));
  const notes = has("call.json") ? (json("call.json") as CallNotes) : {};
  const call = describeCall(Buffer.from(JSON.stringify(json("request.json"))), notes);
  const config = { ...configs[type], ...notes.config } as ProviderConfig;
  const answer = (types: readonly (readonly [string, string])[]): StreamFile | undefined => {
    const found = types.find(([part]) => has(part));
    if (!found) return undefined;
    const bytes = readFileSync(file(found[0]));
    const head: UpstreamHead = { status: 200, headers: { "content-type": found[1] } };
    return {
      bytes,
      head:
        found[0].startsWith("upstream.s") || !has("upstream-head.json")
          ? head
          : (json("upstream-head.json") as UpstreamHead),
    };
  };
  return {
    type,
    name,
    adapter: createVoice(config).adapter,
    call,
    target: { provider: type, model: notes.model ?? call.askedModel },
    whole: answer([
      ["upstream.json", "application/json"],
      ["upstream.html", "text/html"],
      ["upstream.txt", "text/plain"],
    ]),
    stream: answer([
      ["upstream.sse", "text/event-stream"],
      ["upstream.bin", "application/vnd.amazon.eventstream"],
    ]),
    has,
    json,
    text,
  };
}

function describeCall(body: Buffer, { operation = "messages", headers }: CallNotes): ProviderCall & DecodeContext {
  const { model, splices } = readBody(body, operation);
  return {
    id: "call_fixture",
    callId: "call_fixture",
    operation,
    stream: false,
    askedModel: model,
    headers: { "anthropic-version": "2023-06-01", ...headers },
    body,
    splices,
    refusedBetas: undefined,
  };
}
