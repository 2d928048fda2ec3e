import { describe, expect, test } from "vitest";
import type { DecodeContext, Failure, FailureReason } from "../adapter.ts";
import { classify, isStream } from "./classify.ts";
import { decode } from "./decode.ts";

interface Given {
  readonly status: number;
  readonly type?: string;
  readonly body?: string;
  readonly date?: string;
}

function failureOf({ status, type, body = "{}", date }: Given): Failure {
  const headers = {
    ...(type === undefined ? {} : { "x-amzn-errortype": type }),
    ...(date === undefined ? {} : { date }),
  };
  return classify({ status, headers }, Buffer.from(body));
}

const says = (message: string): string => JSON.stringify({ message });

describe("an exception", () => {
  const rows: readonly (readonly [number, string, string, FailureReason, number])[] = [
    [400, "ValidationException", "messages.0.content: Field required", "invalid_request", 400],
    [400, "ValidationException", "invalid beta flag", "beta_refused", 400],
    [
      400,
      "ValidationException",
      "Invocation of model ID x with on-demand throughput isn’t supported. Retry",
      "not_found",
      404,
    ],
    [400, "ValidationException", "The provided model identifier is invalid.", "not_found", 404],
    [400, "ValidationException", "The provided model doesn't support counting tokens.", "not_found", 404],
    [403, "InvalidSignatureException", "Credential should be scoped to a valid region.", "credential_refused", 401],
    [400, "ServiceQuotaExceededException", "quota", "rate_limited", 429],
    [400, "ExpiredTokenException", "The security token included in the request is expired", "credential_refused", 401],
    [400, "ConflictException", "busy", "server_error", 409],
    [403, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform", "forbidden", 403],
    [
      403,
      "AccessDeniedException",
      "Model access is denied due to INVALID_PAYMENT_INSTRUMENT",
      "account_exhausted",
      402,
    ],
    [
      403,
      "AccessDeniedException",
      "Authentication failed: Please make sure your API Key is valid.",
      "credential_refused",
      401,
    ],
    [
      403,
      "UnrecognizedClientException",
      "The security token included in the request is invalid.",
      "credential_refused",
      401,
    ],
    [403, "InvalidSignatureException", "Signature expired: 2026 is now earlier than", "credential_refused", 401],
    [404, "ResourceNotFoundException", "Could not resolve the foundation model", "not_found", 404],
    [408, "ModelTimeoutException", "slow", "no_status", 504],
    [424, "ModelErrorException", "The system encountered an unexpected error", "server_error", 500],
    [429, "ThrottlingException", "Too many tokens, please wait before trying again.", "rate_limited", 429],
    [429, "ThrottlingException", "Too many tokens per day, please wait before trying again.", "rate_limited", 429],
    [429, "ModelNotReadyException", "loading", "overloaded", 529],
    [500, "InternalServerException", "x", "server_error", 500],
    [503, "ServiceUnavailableException", "x", "overloaded", 529],
  ];
  test.each(rows)("%i %s (%s) is %s", (...row) => {
    const [status, type, message, reason, counts] = row;
    expect(failureOf({ status, type: `${type}:http://internal.amazon.com/coral/`, body: says(message) })).toMatchObject(
      {
        reason,
        status: counts,
        envelope: false,
      },
    );
  });

  test("may be named in the body, with a namespace", () => {
    const body = '{"__type":"com.amazon.coral.service#ThrottlingException","Message":"x"}';
    expect(failureOf({ status: 400, body }).reason).toBe("rate_limited");
  });

  test("a validation's words go to the caller, an access error's, which name accounts, do not", () => {
    const words = "messages.0.content: Field required";
    const { answer } = failureOf({ status: 400, type: "ValidationException", body: says(words) });
    expect(JSON.parse(String(answer))).toMatchObject({
      type: "error",
      error: { type: "invalid_request_error", message: words },
    });
    expect(
      failureOf({ status: 403, type: "AccessDeniedException", body: says("arn:aws:iam::1:user/x") }).answer,
    ).toBeUndefined();
    const throttled = failureOf({ status: 429, type: "ThrottlingException", body: says("arn:aws:iam::1:user/x") });
    expect(String(throttled.answer)).not.toContain("arn:");
  });

  test("a quota of the day is not asked for again at once", () => {
    const given = { status: 429, type: "ThrottlingException", date: "Sun, 22 Nov 2026 03:00:00 GMT" };
    const body = says("Too many tokens per day, please wait before trying again.");
    expect(failureOf({ ...given, body })).toMatchObject({
      detail: "quota of the day",
      retryAt: Date.UTC(2026, 10, 22, 3, 10),
    });
    expect(failureOf({ ...given, body: says("Too many requests") }).retryAt).toBeUndefined();
  });
});

describe("an answer that is none of AWS'", () => {
  test.each<readonly [number, string, FailureReason]>([
    [502, "<html>Bad gateway</html>", "server_error"],
    [503, "", "overloaded"],
    [403, "<html>", "forbidden"],
    [429, "", "rate_limited"],
    [200, "<html>hello</html>", "server_error"],
    [200, '{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}', "server_error"],
  ])("%i %s is %s", (status, body, reason) => {
    expect(failureOf({ status, body })).toMatchObject({ reason, envelope: false });
  });

  test("even an envelope of the Messages API in it does not pass as ours", () => {
    const body = '{"type":"error","error":{"type":"overloaded_error","message":"m"}}';
    expect(failureOf({ status: 200, body })).toMatchObject({ reason: "overloaded", envelope: false });
  });
});

describe("a whole answer", () => {
  const context: DecodeContext = { callId: "call_1", operation: "messages", askedModel: "m", body: Buffer.alloc(0) };
  const head = { status: 200, headers: { "content-type": "application/json" } };

  test("keeps its bytes", () => {
    const body = Buffer.from('{"id":"msg_bdrk_1", "type":"message","usage":{"input_tokens":1,"output_tokens":2}}');
    const answer = decode(context, head, body);
    expect(answer?.body).toBe(body);
    expect(answer).toMatchObject({ messageId: "msg_bdrk_1", usage: { input_tokens: 1, output_tokens: 2 } });
  });

  test("of a count is put into the Messages API's words", () => {
    const counted = decode({ ...context, operation: "count_tokens" }, head, Buffer.from('{"inputTokens":42}'));
    expect(counted?.body.toString()).toBe('{"input_tokens":42}');
  });

  test.each(['{"input_tokens":42}', '{"inputTokens":"42"}', '{"inputTokens":-1}', "null", "<html>"])(
    "%s is no count",
    (body) => expect(decode({ ...context, operation: "count_tokens" }, head, Buffer.from(body))).toBeUndefined(),
  );
});

test.each([
  [200, "application/vnd.amazon.eventstream", true],
  [200, "Application/vnd.amazon.eventstream; x=y", true],
  [200, "application/json", false],
  [429, "application/vnd.amazon.eventstream", false],
] as const)("%i %s is a stream: %s", (status, type, expected) => {
  expect(isStream({ status, headers: { "content-type": type } })).toBe(expected);
});
