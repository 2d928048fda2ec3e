import { describe, expect, test } from "vitest";
import type { FailureReason } from "../adapter.ts";
import { classify, isStream } from "./classify.ts";

const error = (members: object): string => JSON.stringify({ error: members });

describe("an error", () => {
  const rows: readonly (readonly [number, string, FailureReason, number])[] = [
    [400, error({ message: "m", type: "invalid_request_error" }), "invalid_request", 400],
    [400, error({ message: "m", code: "model_not_found" }), "not_found", 404],
    [401, error({ message: "m", code: "invalid_api_key" }), "credential_refused", 401],
    [402, error({ message: "Insufficient Balance" }), "account_exhausted", 402],
    [400, error({ message: "Your organization must be verified to use this.", code: "unsupported" }), "forbidden", 403],
    [403, error({ message: "m", code: "unsupported_country_region_territory" }), "forbidden", 403],
    [404, error({ message: "m", code: "model_not_found" }), "not_found", 404],
    [404, "<html>", "not_found", 404],
    [408, "", "no_status", 504],
    [409, "", "server_error", 409],
    [413, "", "invalid_request", 413],
    [422, JSON.stringify({ detail: "bad" }), "invalid_request", 400],
    [429, error({ message: "m", type: "tokens", code: "rate_limit_exceeded" }), "rate_limited", 429],
    [429, error({ message: "m", type: "insufficient_quota", code: "insufficient_quota" }), "account_exhausted", 402],
    [429, error({ message: "m", type: "exceeded_current_quota_error" }), "account_exhausted", 402],
    [429, "", "rate_limited", 429],
    [500, error({ message: "m", type: "server_error" }), "server_error", 500],
    [502, "<html>", "server_error", 502],
    [503, error({ message: "m" }), "overloaded", 529],
    [503, error({ message: "m", type: "server_error" }), "overloaded", 529],
    [504, "", "no_status", 504],
    [529, "", "overloaded", 529],
    [307, "", "server_error", 502],
    [200, "<html>", "server_error", 502],
    [200, "", "server_error", 502],
    [200, error({ message: "m", code: 429 }), "rate_limited", 429],
    [200, error({ message: "m", type: "insufficient_quota" }), "account_exhausted", 402],
    [200, error({ message: "m", type: "server_error" }), "server_error", 500],
    [200, error({ message: "m", code: "invalid_prompt" }), "invalid_request", 400],
    [200, error({ message: "m", code: "image_too_small" }), "invalid_request", 400],
    [200, error({ message: "m", code: "server_is_overloaded" }), "overloaded", 529],
    [200, JSON.stringify([{ error: { message: "m", code: 503 } }]), "overloaded", 529],
    [200, JSON.stringify({ object: "error", message: "m", code: 400 }), "invalid_request", 400],
    [200, JSON.stringify({ error: "down" }), "server_error", 500],
    [
      200,
      JSON.stringify({ choices: [{ finish_reason: "error", error: { message: "m", code: 502 } }] }),
      "server_error",
      502,
    ],
    [200, JSON.stringify({ choices: [{ finish_reason: "insufficient_system_resource" }] }), "overloaded", 529],
  ];
  test.each(rows)("%i %s is %s", (...[status, body, reason, counted]) => {
    expect(classify({ status, headers: {} }, Buffer.from(body))).toMatchObject({ reason, status: counted });
  });

  const answerOf = (status: number, body: string): unknown => {
    const { answer } = classify({ status, headers: {} }, Buffer.from(body));
    return answer && (JSON.parse(answer.toString()) as unknown);
  };

  test("the caller's own is told in the API's envelope", () => {
    expect(answerOf(400, error({ message: "bad temperature", type: "invalid_request_error" }))).toEqual({
      type: "error",
      error: { type: "invalid_request_error", message: "bad temperature" },
      request_id: null,
    });
  });

  test("a prompt that is too long is told in the words that clients look for", () => {
    const message =
      "This model's maximum context length is 8192 tokens. However, your messages resulted in 10500 tokens.";
    expect(answerOf(400, error({ message, code: "context_length_exceeded" }))).toMatchObject({
      error: { message: "prompt is too long: 10500 tokens > 8192 maximum" },
    });
  });

  test.each([401, 402, 403, 429, 500])("our account's troubles and the provider's words stay with us: %i", (status) => {
    expect(answerOf(status, error({ message: "key sk-123" }))).toBeUndefined();
  });
});

test.each([
  ["no document", "<html>", false],
  ["a bare word", JSON.stringify({ detail: "Not Found" }), false],
  ["an address", error({ message: "Invalid URL (POST /v1/x)", type: "invalid_request_error" }), false],
  ["a model", error({ message: "The model `m` does not exist", code: "model_not_found" }), true],
])("a 404 that names %s is told to the caller only where it is about the model", (_, body, isTold) => {
  const { answer } = classify({ status: 404, headers: {} }, Buffer.from(body));
  expect(answer !== undefined).toBe(isTold);
});

describe("a limit", () => {
  const retryAfterMs = (headers: Record<string, string>, message = ""): number | undefined => {
    const { retryAt } = classify({ status: 429, headers }, Buffer.from(error({ message })));
    return retryAt === undefined ? undefined : Math.round((retryAt - Date.now()) / 100) * 100;
  };
  test("is over when what is used up is filled again", () => {
    const headers = {
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "6m0s",
      "x-ratelimit-remaining-tokens": "100",
      "x-ratelimit-reset-tokens": "20h",
    };
    expect(retryAfterMs(headers)).toBe(360_000);
  });
  test("is over when the message says so", () => {
    expect(retryAfterMs({}, "Rate limit reached. Please try again in 1m2.5s. See")).toBe(62_500);
  });
  test("says nothing of its own beside retry-after, and nothing where it says nothing", () => {
    expect(retryAfterMs({ "retry-after": "1" }, "try again in 9s")).toBeUndefined();
    expect(retryAfterMs({ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon" })).toBeUndefined();
  });
});

test.each([
  [200, "text/event-stream; charset=utf-8", true],
  [200, "application/json", false],
  [429, "text/event-stream", false],
] as const)("%i %s is a stream: %s", (status, type, expected) => {
  expect(isStream({ status, headers: { "content-type": type } })).toBe(expected);
});
