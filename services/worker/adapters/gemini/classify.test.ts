import { describe, expect, test } from "vitest";
import { classify, isStream } from "./classify.ts";

const failure = (status: number, error: object): ReturnType<typeof classify> =>
  classify({ status, headers: {} }, Buffer.from(JSON.stringify({ error })), 0);

describe("account trouble", () => {
  test.each([
    [403, "PERMISSION_DENIED", "The billing account for the owning project is disabled in state absent."],
    [429, "RESOURCE_EXHAUSTED", "Your project has exceeded its monthly spending cap."],
    [400, "FAILED_PRECONDITION", "The free tier is not available here. Please enable billing on your project."],
  ])("%i %s is seen in the text", (status, name, message) =>
    expect(failure(status, { status: name, message }).reason).toBe("account_exhausted"),
  );
  test("is not believed of a bad argument, which may quote the caller", () =>
    expect(
      failure(400, { status: "INVALID_ARGUMENT", message: "Invalid value: 'prepaid credits, enable billing'" }),
    ).toMatchObject({ reason: "invalid_request", status: 400 }));
});

test("a caller is not told the gateway's project", () => {
  const message = "Request contains an invalid argument for projects/acme-prod/locations/global.";
  const { answer } = failure(400, { status: "INVALID_ARGUMENT", message });
  expect(JSON.parse(String(answer))).toMatchObject({
    error: { message: "Request contains an invalid argument for projects/-/locations/global." },
  });
});

test.each([
  ["an empty body", 503, "", "overloaded"],
  ["a sentence for an error", 401, '{"error":"bad token"}', "credential_refused"],
  ["half a document", 200, '{"candidates":[', "server_error"],
  ["a redirect", 302, "", "server_error"],
  ["an unknown status", 418, "{}", "invalid_request"],
])("%s", (...[, status, body, reason]) =>
  expect(classify({ status, headers: {} }, Buffer.from(body)).reason).toBe(reason),
);

test("a compressed stream is none", () => {
  const headers = { "content-type": "text/event-stream; charset=utf-8" };
  expect(isStream({ status: 200, headers })).toBe(true);
  expect(isStream({ status: 200, headers: { ...headers, "content-encoding": "gzip" } })).toBe(false);
});
