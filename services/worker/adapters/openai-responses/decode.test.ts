import { describe, expect, test } from "vitest";
import type { Operation } from "#shared/messages/call.ts";
import type { DecodeContext } from "../adapter.ts";
import { wireToolName } from "../openai/tool-names.ts";
import { decode } from "./decode.ts";
import { readReasoningSignature, reasoningSignature } from "./reasoning-signature.ts";

const account = "0a1b2c3d";

interface Given {
  readonly members?: object;
  readonly operation?: Operation;
  readonly status?: number;
}

function decodeDocument(document: unknown, { members, operation = "messages", status = 200 }: Given = {}): unknown {
  const body = Buffer.from(JSON.stringify({ model: "m", max_tokens: 99, ...members }));
  const context: DecodeContext = { callId: "call_abc", operation, askedModel: "mine", body };
  const bytes = Buffer.from(typeof document === "string" ? document : JSON.stringify(document));
  const answer = decode({ account }, context, { head: { status, headers: {} }, body: bytes });
  return answer && (JSON.parse(answer.body.toString()) as unknown);
}

const said = { type: "message", content: [{ type: "output_text", text: "hi" }] };

test("a response is a Message, its reasoning signed with what gives it back", () => {
  const output = [
    { type: "reasoning", id: "rs_1", summary: [{ text: "one" }, { text: "two" }], encrypted_content: "AA=" },
    said,
    { type: "web_search_call", id: "ws_1" },
    { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: '{"a":1}' },
    { type: "function_call", id: "fc_2", call_id: "call_1", name: "g", arguments: "" },
    { type: "function_call", id: "fc_3", call_id: "bad id", name: "h", arguments: '{"a"' },
  ];
  const usage = {
    input_tokens: 100,
    output_tokens: 50,
    total_tokens: 150,
    input_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
    output_tokens_details: { reasoning_tokens: 40 },
  };
  expect(decodeDocument({ status: "completed", output, usage })).toMatchObject({
    id: "msg_abc",
    model: "mine",
    content: [
      {
        type: "thinking",
        thinking: "one\n\ntwo",
        signature: reasoningSignature({ account, id: "rs_1", encrypted: "AA=" }),
      },
      { type: "text", text: "hi" },
      { type: "tool_use", id: "call_1", name: "f", input: { a: 1 } },
      { id: expect.stringMatching(/^toolu_/) as string, name: "g", input: {} },
      { id: expect.stringMatching(/^toolu_/) as string, name: "h", input: { INVALID_JSON: '{"a"' } },
    ],
    stop_reason: "tool_use",
    usage: {
      input_tokens: 30,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 10,
      output_tokens: 50,
      output_tokens_details: { thinking_tokens: 40 },
    },
  });
});

test("unreadable reasoning is kept for those who asked for thinking", () => {
  const document = { status: "completed", output: [{ type: "reasoning", id: "rs_1", encrypted_content: "AA=" }, said] };
  expect(decodeDocument(document)).toMatchObject({ content: [{ type: "text" }] });
  expect(decodeDocument(document, { members: { thinking: { type: "disabled" } } })).toMatchObject({
    content: [{ type: "text" }],
  });
  expect(decodeDocument(document, { members: { thinking: { type: "adaptive" } } })).toMatchObject({
    content: [{ type: "thinking", thinking: "" }, { type: "text" }],
  });
});

test("a name that had to be shortened is the caller's again", () => {
  const name = "n".repeat(100);
  const output = [{ type: "function_call", call_id: "a", name: wireToolName(name), arguments: "{}" }];
  expect(decodeDocument({ output }, { members: { tools: [{ name }] } })).toMatchObject({ content: [{ name }] });
});

test("no usage is an estimate", () => {
  expect(decodeDocument({ output: [said] })).toMatchObject({ usage: { output_tokens: 1 } });
});

describe("how it ended", () => {
  const refusal = { type: "message", content: [{ type: "refusal", refusal: "no" }] };
  test.each([
    [{ status: "completed", output: [said] }, "end_turn"],
    [{ status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, output: [said] }, "max_tokens"],
    [{ status: "incomplete", incomplete_details: { reason: "content_filter" }, output: [] }, "refusal"],
    [{ status: "completed", output: [refusal] }, "refusal"],
  ])("%j is %s", (document, reason) => {
    expect(decodeDocument(document)).toMatchObject({ stop_reason: reason });
  });

  test.each([
    { status: "failed", error: { code: "server_error", message: "m" }, output: [] },
    { status: "in_progress", output: [] },
    { status: "completed" },
    { error: { message: "m" } },
    [],
    "<html>",
  ])("%j is no answer", (document) => expect(decodeDocument(document)).toBeUndefined());
  test("nor is any of another status", () =>
    expect(decodeDocument({ output: [said] }, { status: 500 })).toBeUndefined());
});

test("a count is its number", () => {
  const given = { operation: "count_tokens" } as const;
  expect(decodeDocument({ object: "response.input_tokens", input_tokens: 7 }, given)).toEqual({ input_tokens: 7 });
  expect(decodeDocument({ output: [] }, given)).toBeUndefined();
});

test("a signature gives back what it was made of", () => {
  const item = { account, id: "rs:1 %", encrypted: "a:b=" };
  expect(readReasoningSignature(reasoningSignature(item))).toEqual(item);
  expect(readReasoningSignature(`sluice:openai-responses:${account}:%:x`)).toMatchObject({ id: "%" });
  for (const other of [reasoningSignature(), "sluice:openai", "EqQB", "sluice:openai-responses:half"])
    expect(readReasoningSignature(other)).toBeUndefined();
});
