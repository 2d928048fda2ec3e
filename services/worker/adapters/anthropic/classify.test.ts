import { describe, expect, test } from "vitest";
import type { Operation } from "#shared/messages/call.ts";
import type { DecodeContext, Failure, FailureReason } from "../adapter.ts";
import { classify, classifyEvent, isStream } from "./classify.ts";
import { decode } from "./decode.ts";

interface Given {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly operation?: Operation;
}

function failureOf({ status = 200, headers = {}, body = "", operation = "messages" }: Given): Failure | undefined {
  const head = { status, headers };
  const bytes = Buffer.from(body);
  return decode(contextOf(operation), head, bytes) ? undefined : classify(head, bytes);
}

function contextOf(operation: Operation): DecodeContext {
  return { callId: "call_1", operation, askedModel: "claude-x", body: Buffer.from("{}") };
}

const envelope = (type: string, message = "m", details?: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ type: "error", error: { type, message, ...(details ? { details } : {}) }, request_id: "req_1" });

describe("a success", () => {
  test("a message is one", () =>
    expect(failureOf({ body: ' {"type":"message","id":"m","content":[]}' })).toBeUndefined());
  test("a message whose text speaks of an error is one", () =>
    expect(failureOf({ body: '{"type":"message","error":{"type":"x","message":"y"}}' })).toBeUndefined());
  test("a message is decoded to its own bytes and what they say", () => {
    const body = Buffer.from(
      '{"type":"message","id":"msg_1","container":{"id":"c_1"},"usage":{"input_tokens":3,"output_tokens":null}}',
    );
    const answer = decode(contextOf("messages"), { status: 200, headers: {} }, body);
    expect(answer?.body).toBe(body);
    expect(answer).toMatchObject({
      messageId: "msg_1",
      containerId: "c_1",
      usage: { input_tokens: 3, output_tokens: 0 },
    });
  });
  test("a count is one", () =>
    expect(failureOf({ operation: "count_tokens", body: '{"input_tokens":3}' })).toBeUndefined());

  const rows: readonly (readonly [string, Given, FailureReason])[] = [
    ["an error document", { body: envelope("overloaded_error") }, "overloaded"],
    ["a page", { body: "<!doctype html>", headers: { "content-type": "text/html" } }, "server_error"],
    ["nothing", {}, "server_error"],
    ["another document", { body: '{"id":"x"}' }, "server_error"],
    ["half a message", { body: '{"type":"message","content":[' }, "server_error"],
    ["a compressed message", { body: '{"type":"message"}', headers: { "content-encoding": "br" } }, "server_error"],
    ["a redirect", { status: 307 }, "server_error"],
    ["a message in place of a count", { operation: "count_tokens", body: '{"type":"message"}' }, "server_error"],
  ];
  test.each(rows)("%s is none", (_, given, reason) => expect(failureOf(given)?.reason).toBe(reason));
});

describe("an error", () => {
  const rows: readonly (readonly [number, string, FailureReason])[] = [
    [400, envelope("invalid_request_error"), "invalid_request"],
    [401, envelope("authentication_error"), "credential_refused"],
    [402, envelope("billing_error"), "account_exhausted"],
    [403, envelope("permission_error"), "forbidden"],
    [404, envelope("not_found_error"), "not_found"],
    [404, envelope("not_found_error", "m", { error_code: "thread_not_found" }), "thread_not_found"],
    [405, "", "not_found"],
    [408, envelope("timeout_error"), "no_status"],
    [409, envelope("conflict_error"), "server_error"],
    [413, envelope("request_too_large"), "invalid_request"],
    [422, "", "invalid_request"],
    [429, envelope("rate_limit_error"), "rate_limited"],
    [429, envelope("rate_limit_error", "m", { error_code: "ramp_limit_exceeded" }), "rate_limited"],
    [429, envelope("rate_limit_error", "m", { error_code: "enforced_spend_limit_reached" }), "account_exhausted"],
    [429, envelope("rate_limit_error", "m", { error_code: "contract_spend_limit_reached" }), "account_exhausted"],
    [400, envelope("invalid_request_error", "Your credit balance is too low to access"), "account_exhausted"],
    [400, envelope("invalid_request_error", "You have reached your specified API usage limits."), "account_exhausted"],
    [400, envelope("invalid_request_error", "m", { error_code: "organization_on_hold" }), "account_exhausted"],
    [500, "<html>", "server_error"],
    [501, "", "not_found"],
    [502, "", "server_error"],
    [503, envelope("api_error"), "overloaded"],
    [504, "", "no_status"],
    [529, envelope("overloaded_error"), "overloaded"],
  ];
  test.each(rows)("%i %s is %s", (status, body, reason) => expect(failureOf({ status, body })?.reason).toBe(reason));

  test("a compressed one still has its status", () => {
    expect(failureOf({ status: 429, headers: { "content-encoding": "gzip" }, body: "\u001f" })?.reason).toBe(
      "rate_limited",
    );
  });

  test("one that is no envelope is known as such", () => {
    expect(failureOf({ status: 400, body: "<html>" })?.envelope).toBe(false);
    expect(failureOf({ status: 400, body: '{"error":"text"}' })?.envelope).toBe(false);
    expect(failureOf({ status: 400, body: envelope("invalid_request_error") })).toMatchObject({
      envelope: true,
      requestId: "req_1",
    });
  });

  test("the refused beta flags are read from the refusal", () => {
    const message = "Unexpected value(s) `a-1`, `b-2` for the `anthropic-beta` header. Please consult …";
    expect(failureOf({ status: 400, body: envelope("invalid_request_error", message) })).toMatchObject({
      reason: "beta_refused",
      refusedBetas: ["a-1", "b-2"],
    });
    expect(failureOf({ status: 400, body: envelope("invalid_request_error", "invalid beta flag") })).toMatchObject({
      reason: "beta_refused",
      refusedBetas: [],
    });
  });
});

describe("an error event", () => {
  test.each([
    ["overloaded_error", "overloaded", 529],
    ["api_error", "server_error", 500],
    ["rate_limit_error", "rate_limited", 429],
    ["timeout_error", "no_status", 504],
    ["invalid_request_error", "invalid_request", 400],
    ["something_new_error", "server_error", 500],
    ["constructor", "server_error", 500],
  ] as const)("%s counts as %s", (type, reason, status) => {
    expect(classifyEvent({ type, message: "m" })).toMatchObject({ reason, status });
  });
});

describe("a stream", () => {
  test.each([
    [200, "text/event-stream", true],
    [200, "text/event-stream; charset=utf-8", true],
    [200, "Text/Event-Stream", true],
    [200, "application/json", false],
    [529, "text/event-stream", false],
  ] as const)("%i %s: %s", (status, type, expected) => {
    expect(isStream({ status, headers: { "content-type": type } })).toBe(expected);
  });
  test("one that is compressed cannot be relayed", () => {
    const headers = { "content-type": "text/event-stream", "content-encoding": "gzip" };
    expect(isStream({ status: 200, headers })).toBe(false);
  });
});
