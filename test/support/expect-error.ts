import { expect } from "vitest";

interface ExpectedError {
  readonly status: number;
  readonly type: string;
  readonly message?: string | RegExp;
}

interface ErrorBody {
  readonly type: string;
  readonly request_id: string;
  readonly error: { readonly type: string; readonly message: string; readonly details?: Record<string, unknown> };
}

/** Every error is Anthropic's envelope with one id in header and body. */
export async function expectError(response: Response, expected: ExpectedError): Promise<ErrorBody> {
  const body = (await response.json()) as ErrorBody;
  expect({ status: response.status, type: body.error.type, message: body.error.message }).toEqual({
    status: expected.status,
    type: expected.type,
    message: expectText(expected.message ?? /./),
  });
  expect(body.type).toBe("error");
  expect(response.headers.get("content-type")).toContain("application/json");
  expect(body.request_id).toBe(response.headers.get("request-id"));
  expect(response.headers.get("x-sluice-request-id")).toMatch(/^call_/);
  return body;
}

function expectText(text: string | RegExp): unknown {
  return typeof text === "string" ? text : expect.stringMatching(text);
}
