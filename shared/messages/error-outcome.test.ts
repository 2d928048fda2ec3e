import { expect, test } from "vitest";
import { GatewayError } from "./error.ts";
import { errorOutcome } from "./error-outcome.ts";

test("an error becomes an answer in the API's envelope, with its headers and the same id twice", () => {
  const error = new GatewayError("overloaded", "No worker.", { retryAfterS: 1, shouldRetry: true });
  const outcome = errorOutcome(error, "call_1");
  expect(outcome).toMatchObject({
    code: "overloaded",
    status: 529,
    headers: {
      "content-type": "application/json",
      "request-id": "call_1",
      "retry-after": "1",
      "x-should-retry": "true",
    },
    attempts: [],
    waits: [],
    notes: [],
  });
  expect(JSON.parse(outcome.body.toString())).toEqual({
    type: "error",
    error: { type: "overloaded_error", message: "No worker." },
    request_id: "call_1",
  });
});

test("what is known of the call is kept", () => {
  const waits = [{ kind: "queue", startedAt: 1, endedAt: 2 }] as const;
  expect(errorOutcome(new GatewayError("internal", "x"), "call_1", { waits, notes: ["redis_away"] })).toMatchObject({
    waits,
    notes: ["redis_away"],
  });
});
