import { assert, array, boolean, constantFrom, oneof, property, record, string } from "fast-check";
import { describe, expect, test } from "vitest";
import type { DecodeContext } from "../adapter.ts";
import { decode } from "./decode.ts";
import { createStreamDecoder } from "./stream-decoder.ts";
import { classifyEvent } from "./stream-fault.ts";

const context: DecodeContext = {
  callId: "call_1",
  operation: "messages",
  askedModel: "gemini-3-pro",
  body: Buffer.from("{}"),
};

interface MessagesEvent {
  readonly type: string;
  readonly index?: number;
  readonly content_block?: { readonly type: string };
  readonly delta?: { readonly type?: string; readonly stop_reason?: string };
  readonly error?: { readonly type: string; readonly message: string; readonly details?: unknown };
  readonly usage?: Readonly<Record<string, unknown>>;
}

function eventsOf(bytes: string, given: DecodeContext = context): MessagesEvent[] {
  const decoder = createStreamDecoder(given);
  const out = [decoder.push(Buffer.from(bytes)), decoder.end()].filter((piece) => piece !== undefined);
  const text = Buffer.concat(out).toString();
  return [...text.matchAll(/^event: (.*)\ndata: (.*)\n\n/gm)].map(([, name, data = ""]) => {
    const event = JSON.parse(data) as MessagesEvent;
    expect(event.type).toBe(name);
    return event;
  });
}
const sse = (...responses: unknown[]): string =>
  responses.map((response) => `data: ${JSON.stringify(response)}\n\n`).join("");
const says = (parts: unknown, finishReason?: string): object => ({
  candidates: [{ content: { parts }, finishReason }],
});

const deltasOf: Readonly<Record<string, readonly string[]>> = {
  text: ["text_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  tool_use: ["input_json_delta"],
};

/** One start, blocks one after another with their own deltas, one end and nothing behind it. */
function expectGrammar(events: readonly MessagesEvent[]): void {
  let open: string | undefined;
  let blocks = 0;
  let ended = false;
  for (const [position, event] of events.entries()) {
    expect(ended).toBe(false);
    expect(event.type === "message_start").toBe(position === 0 && event.type !== "error");
    if (event.type === "content_block_start") {
      expect([open, event.index]).toEqual([undefined, blocks]);
      open = event.content_block?.type;
    } else if (event.type === "content_block_delta") {
      expect(deltasOf[open ?? ""]).toContain(event.delta?.type);
      expect(event.index).toBe(blocks);
    } else if (event.type === "content_block_stop") {
      expect([open === undefined, event.index]).toEqual([false, blocks]);
      open = undefined;
      blocks += 1;
    } else if (event.type === "message_delta") expect(open).toBeUndefined();
    ended = event.type === "message_stop" || event.type === "error";
  }
}

const part = oneof(
  record({ text: string() }),
  record({ text: string(), thought: boolean() }),
  record({ text: constantFrom("", "a"), thoughtSignature: constantFrom("", "c2ln") }),
  record({ functionCall: record({ name: constantFrom("f", "_1x"), args: constantFrom({}, { a: 1 }), id: string() }) }),
  record({ functionCall: record({ name: constantFrom("g") }), thoughtSignature: constantFrom("c2ln") }),
  constantFrom({}, null, 7, { functionCall: 1 }, { text: 1 }, { inlineData: { data: "" } }),
);
const finish = constantFrom(undefined, "STOP", "MAX_TOKENS", "SAFETY", "OTHER", "A_NEW_WORD", 7);
const chunk = oneof(
  record({ candidates: array(record({ content: record({ parts: array(part) }), finishReason: finish })) }),
  constantFrom<unknown>(
    {},
    [],
    null,
    { usageMetadata: { promptTokenCount: 3, candidatesTokenCount: -1 } },
    { promptFeedback: { blockReason: "SAFETY" } },
    { candidates: [{ finishReason: "STOP" }] },
    { candidates: 4 },
  ),
);

test("any chunks in any order give a stream that obeys the grammar", () => {
  assert(
    property(array(chunk, { maxLength: 12 }), (chunks) => expectGrammar(eventsOf(sse(...chunks)))),
    { numRuns: 500 },
  );
});

test("a stream that ends without a finish has no end", () =>
  expect(eventsOf(sse(says([{ text: "a" }]))).map(({ type }) => type)).not.toContain("message_stop"));

test("input tokens are estimated until they are told", () => {
  const [start] = eventsOf(sse(says([{ text: "a" }], "STOP")), { ...context, body: Buffer.alloc(1000, "x") });
  expect(start).toMatchObject({ message: { usage: { input_tokens: expect.any(Number) } } });
  expect((start as unknown as { message: { usage: { input_tokens: number } } }).message.usage.input_tokens).toBe(400);
});

test("a caller that wants one call at a time gets the first", () => {
  const calls = says([{ functionCall: { name: "a" } }, { functionCall: { name: "b" } }], "STOP");
  const body = Buffer.from('{"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}');
  const answer = decode({ ...context, body }, { status: 200, headers: {} }, Buffer.from(JSON.stringify(calls)));
  expect(JSON.parse(String(answer?.body))).toMatchObject({ content: [{ name: "a" }] });
});

test("ids that Claude would refuse, or that come twice, are replaced", () => {
  const call = (id: string): object => ({ functionCall: { name: "a", id } });
  const calls = says([call("a/b"), call("same"), call("same")], "STOP");
  const answer = decode(context, { status: 200, headers: {} }, Buffer.from(JSON.stringify(calls)));
  const { content } = JSON.parse(String(answer?.body)) as { content: { id: string }[] };
  expect(content.map(({ id }) => id)).toEqual(["toolu_1_1", "same", "toolu_1_3"]);
});

test("a count is Gemini's total", () => {
  const count = Buffer.from('{"totalTokens": 31}');
  const answer = decode({ ...context, operation: "count_tokens" }, { status: 200, headers: {} }, count);
  expect(String(answer?.body)).toBe('{"input_tokens":31}');
});

describe("an error in the stream", () => {
  const error = (status: string, message = "", more: object = {}): string =>
    sse({ error: { code: 0, status, message, ...more } });
  const retry = { details: [{ "@type": "x/google.rpc.RetryInfo", retryDelay: { seconds: 3, nanos: 5e8 } }] };

  test.each([
    ["RESOURCE_EXHAUSTED", "", "rate_limited"],
    ["UNAVAILABLE", "", "overloaded"],
    ["DEADLINE_EXCEEDED", "", "no_status"],
    ["INTERNAL", "", "server_error"],
    ["INVALID_ARGUMENT", "bad image", "invalid_request"],
    ["UNAUTHENTICATED", "", "credential_refused"],
    ["RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", "account_exhausted"],
    ["A_NEW_WORD", "", "server_error"],
  ])("%s %s before all else counts as %s", (status, message, reason) => {
    const [event] = eventsOf(error(status, message));
    expect(classifyEvent(event?.error ?? { type: "" }).reason).toBe(reason);
  });

  test("tells the engine when to come back", () => {
    const [event] = eventsOf(error("RESOURCE_EXHAUSTED", "", retry));
    expect(classifyEvent(event?.error ?? { type: "" }, 1000).retryAt).toBe(4500);
  });

  test.each(["UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"])(
    "%s behind the beginning says nothing of the gateway's account",
    (status) => {
      const events = eventsOf(sse(says([{ text: "a" }])) + error(status, "projects/acme", retry));
      expect(events.at(-1)?.error).toMatchObject({ type: "api_error" });
      expect(events.at(-1)?.error?.message).not.toContain("acme");
      expect(events.at(-1)?.error).not.toHaveProperty("details");
    },
  );
});
