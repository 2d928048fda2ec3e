import { expect, test } from "vitest";
import type { FailureReason } from "../adapter.ts";
import { classify } from "./classify.ts";

const google = (status: string, message = "m", details: readonly object[] = []): string =>
  JSON.stringify({ error: { code: 0, message, status, details } });

const headers = { date: "Sun, 22 Nov 2026 03:00:00 GMT" };

const rows: readonly (readonly [number, string, FailureReason, number])[] = [
  [400, google("INVALID_ARGUMENT"), "invalid_request", 400],
  [400, google("FAILED_PRECONDITION"), "forbidden", 403],
  [401, google("UNAUTHENTICATED"), "credential_refused", 401],
  [403, google("PERMISSION_DENIED"), "forbidden", 403],
  [403, google("PERMISSION_DENIED", "This API method requires billing to be enabled."), "account_exhausted", 402],
  [404, google("NOT_FOUND"), "not_found", 404],
  [
    429,
    google("RESOURCE_EXHAUSTED", "Quota exceeded for aiplatform.googleapis.com/online_prediction"),
    "rate_limited",
    429,
  ],
  [429, `[${google("RESOURCE_EXHAUSTED")}]`, "rate_limited", 429],
  [200, `[${google("RESOURCE_EXHAUSTED")}]`, "rate_limited", 429],
  [200, google("INTERNAL"), "server_error", 500],
  [499, google("CANCELLED"), "server_error", 500],
  [500, google("INTERNAL"), "server_error", 500],
  [503, google("UNAVAILABLE"), "overloaded", 529],
  [504, google("DEADLINE_EXCEEDED"), "no_status", 504],
  [502, "<html>", "server_error", 502],
  [418, google("constructor"), "invalid_request", 418],
];
test.each(rows)("%i %s is %s", (...row) => {
  const [status, body, reason, counts] = row;
  expect(classify({ status, headers }, Buffer.from(body))).toMatchObject({ reason, status: counts, envelope: false });
});

test("an error of the model's own is the Messages API's", () => {
  const body = '{"type":"error","error":{"type":"invalid_request_error","message":"m"},"request_id":"req_vrtx_1"}';
  expect(classify({ status: 400, headers }, Buffer.from(body))).toMatchObject({
    reason: "invalid_request",
    envelope: true,
    requestId: "req_vrtx_1",
  });
});

test("only words about the request go to the caller", () => {
  const told = classify({ status: 400, headers }, Buffer.from(google("INVALID_ARGUMENT", "max_tokens: too many")));
  expect(String(told.answer)).toContain("max_tokens: too many");
  const kept = classify({ status: 403, headers }, Buffer.from(google("PERMISSION_DENIED", "projects/acme")));
  expect(kept.answer).toBeUndefined();
});

test("a delay that is given is kept to", () => {
  const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "17s" }];
  const { retryAt } = classify({ status: 429, headers }, Buffer.from(google("RESOURCE_EXHAUSTED", "m", details)));
  expect(retryAt).toBe(Date.UTC(2026, 10, 22, 3, 0, 17));
});
