import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { GatewayError } from "#shared/messages/error.ts";
import { encodeCase, readCases, type FixtureCase } from "./fixture-case.ts";
import { grammarFaults } from "./stream-grammar.ts";
import { wireNames } from "./wires.ts";

const cases = readCases();
const titled = cases.map((given) => [`${given.type}/${given.name}`, given] as const);
const withPart = (part: string): typeof titled => titled.filter(([, given]) => given.has(part));

interface ExpectedRequest {
  readonly path: string;
  readonly body: unknown;
  readonly notes?: readonly string[];
  /** Some of them. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What every wire has to show. */
const needed = [
  "text",
  "tools",
  "parallel-tools",
  "thinking",
  "images",
  "documents",
  "structured-output",
  "refusal",
  "max-tokens",
  "error-rate-limited",
  "error-overloaded",
  "error-not-found",
  "error-forbidden",
  "error-invalid-request",
  "error-internal",
  "stream-cut",
  "stream-error",
] as const;

test.each(wireNames)("%s has a recording of every case", (type) => {
  const names = cases.filter((given) => given.type === type).map(({ name }) => name);
  expect(needed.filter((name) => !names.includes(name))).toEqual([]);
});

describe("a recorded call", () => {
  test.each(withPart("expected-request.json"))("%s goes out as it was recorded", (_, given) => {
    const { path, body, headers, notes } = encodeCase(given);
    const expected = given.json("expected-request.json") as ExpectedRequest;
    const sent = {
      path,
      body: JSON.parse(Buffer.concat([...body]).toString()) as unknown,
      ...(notes ? { notes } : {}),
    };
    const { headers: named = {}, ...rest } = expected;
    expect(sent).toEqual(rest);
    expect(recordOf(headers)).toMatchObject(named);
  });

  test.each(withPart("expected-refusal.json"))("%s is refused, naming the member", (_, given) => {
    const { message } = given.json("expected-refusal.json") as { message: string };
    expect(() => encodeCase(given)).toThrow(
      expect.objectContaining({ code: "invalid_request", message }) as GatewayError,
    );
  });
});

describe("a recorded whole answer", () => {
  const wholes = titled.filter(([, { whole, has }]) => whole !== undefined && !has("expected-failure.json"));
  test.each(wholes)("%s is a Message", (_, given) => {
    const { adapter, call, whole } = given;
    const answer = whole && adapter.decode(call, whole.head, whole.bytes);
    if (given.has("expected.json")) expect(JSON.parse(String(answer?.body))).toEqual(given.json("expected.json"));
    else expect(answer?.body).toEqual(whole?.bytes);
  });

  test.each(withPart("expected-failure.json"))("%s is a failure", (_, { adapter, call, whole, json }) => {
    vi.useFakeTimers({ now: 0, toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    if (!whole) throw new Error("has no answer");
    expect(adapter.decode(call, whole.head, whole.bytes)).toBeUndefined();
    const { retryAt, answer, ...failure } = adapter.classify(whole.head, whole.bytes);
    expect({
      ...failure,
      ...(retryAt === undefined ? {} : { retryInMs: retryAt }),
      ...(answer ? { answer: JSON.parse(answer.toString()) as unknown } : {}),
    }).toEqual(json("expected-failure.json"));
  });
});

describe("a recorded stream", () => {
  const streams = titled.filter(([, { stream }]) => stream !== undefined);

  test.each(streams)("%s reads the same wherever its bytes are cut", (_, given) => {
    const { adapter, stream } = given;
    if (!stream) throw new Error("has no stream");
    expect(adapter.isStream(stream.head)).toBe(true);
    const { bytes } = stream;
    const expected = given.has("expected.sse") ? given.text("expected.sse") : bytes.toString("utf8");
    for (let cut = 0; cut <= bytes.length; cut += 1)
      expect(decode(given, [bytes.subarray(0, cut), bytes.subarray(cut)]), `cut at ${cut}`).toBe(expected);
    expect(
      decode(
        given,
        Array.from(bytes, (_byte, at) => bytes.subarray(at, at + 1)),
      ),
    ).toBe(expected);
  });

  test.each(streams)("%s obeys the grammar", (_, given) => {
    const text = decode(given, [given.stream?.bytes ?? Buffer.alloc(0)]);
    expect(grammarFaults(text, { isCut: /^stream-(?:cut|truncated)/.test(given.name) })).toEqual([]);
  });

  const both = streams.filter(([, given]) => given.whole !== undefined && !given.has("expected-failure.json"));
  test.each(both)("%s says the same whole and streamed", (_, given) => {
    const { adapter, call, whole, stream } = given;
    if (!whole || !stream) throw new Error("has no answer");
    const answer = adapter.decode(call, whole.head, whole.bytes);
    expect(gather(decode(given, [stream.bytes]))).toEqual(contentOf(JSON.parse(String(answer?.body))));
  });
});

function decode({ adapter, call }: FixtureCase, chunks: readonly Buffer[]): string {
  const decoder = adapter.createStreamDecoder(call);
  const pieces = [...chunks.map((chunk) => decoder.push(chunk)), decoder.end()];
  return Buffer.concat(pieces.filter((piece) => piece !== undefined)).toString();
}

interface Block {
  type: string;
  text: string;
}

interface ContentBlock {
  readonly type: string;
  readonly text?: string;
  readonly thinking?: string;
  readonly input?: unknown;
}

interface StreamEvent {
  readonly index: number;
  readonly content_block?: Readonly<Record<string, unknown>> & { readonly type: string };
  readonly delta?: Readonly<Record<string, unknown>>;
}

/** The blocks of a stream with what was said in each. */
function gather(text: string): Block[] {
  const blocks: Block[] = [];
  for (const [, data = ""] of text.matchAll(/^data: (.*)$/gm)) {
    const { index, content_block: block, delta } = JSON.parse(data) as StreamEvent;
    if (block) blocks[index] = { type: block.type, text: "" };
    const said = delta?.["text"] ?? delta?.["thinking"] ?? delta?.["partial_json"];
    const open = blocks[index];
    if (open && typeof said === "string") open.text += said;
  }
  return blocks.map(({ type, text: said }) => ({
    type,
    text: type === "tool_use" ? JSON.stringify(JSON.parse(said === "" ? "{}" : said)) : said,
  }));
}

function contentOf(message: unknown): Block[] {
  const { content } = message as { content: readonly ContentBlock[] };
  return content.map(({ type, text, thinking, input }) => ({
    type,
    text: type === "tool_use" ? JSON.stringify(input) : (text ?? thinking ?? ""),
  }));
}

function recordOf(headers: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let i = 0; i < headers.length; i += 2) record[headers[i] ?? ""] = headers[i + 1] ?? "";
  return record;
}
