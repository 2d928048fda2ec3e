import { expect, test } from "vitest";
import type { AttemptEnd } from "./attempt-end.ts";
import { causeOf } from "./cause-of.ts";

const times = { sent: true, startedAt: 1, endedAt: 2 };

function answered(status: number, error: object, envelope = true): AttemptEnd {
  const body = Buffer.from(JSON.stringify({ type: "error", error }));
  return {
    ...times,
    reason: "credential_refused",
    status,
    response: { head: { status, headers: {} }, body },
    failure: { reason: "credential_refused", status, envelope, detail: "key refused" },
  };
}

test("an answered attempt is told with its status and the type of its error, and none of its words", () => {
  const end = answered(401, { type: "authentication_error", message: "invalid x-api-key sk-ant-secret" });
  expect(causeOf(end)).toEqual({ reason: "credential_refused", status: 401, error: "authentication_error" });
});

test.each(["sk-ant-secret", "say hello to me", "x".repeat(80), ""])(
  "a type that is no word is not repeated: %j",
  (type) => {
    const { error, ...cause } = causeOf({ ...answered(401, { type, message: "m" }), detail: "key refused" });
    expect(cause).toEqual({ reason: "credential_refused", status: 401 });
    expect(error).toBe("key refused");
  },
);

test("a body that is no envelope is not read", () => {
  expect(causeOf(answered(403, { type: "secret", message: "m" }, false))).toEqual({
    reason: "credential_refused",
    status: 403,
  });
});

test("where nothing was answered our own word says why", () => {
  expect(causeOf({ ...times, sent: false, reason: "connect_failed", detail: "ECONNREFUSED" })).toEqual({
    reason: "connect_failed",
    error: "ECONNREFUSED",
  });
});

test("of an error event its type is told, if it is a word", () => {
  const event: AttemptEnd = { ...times, reason: "stream_error", status: 200, detail: "overloaded_error: a phrase" };
  expect(causeOf(event)).toEqual({ reason: "stream_error", status: 200, error: "overloaded_error" });
  expect(causeOf({ ...event, detail: "the caller's words" })).toEqual({ reason: "stream_error", status: 200 });
});
