import { expect, test } from "vitest";
import { canceledItem, expiredItem, itemResult, resultLine } from "./batch-result.ts";
import { errorOutcome } from "./error-outcome.ts";
import { GatewayError } from "./error.ts";
import type { Outcome } from "./outcome.ts";

const later = Date.now() + 60_000;
const ok = (body: string): Outcome => ({
  code: "ok",
  status: 200,
  headers: {},
  body: Buffer.from(body),
  attempts: [],
  waits: [],
  notes: [],
});
const line = (outcome: Outcome): string => resultLine("a", itemResult("call_1", outcome, later)).toString();

test("a success carries the Message's bytes as they came", () => {
  expect(line(ok('{"b":1.0,"a":"\\u00e9"}'))).toBe(
    '{"custom_id":"a","result":{"type":"succeeded","message":{"b":1.0,"a":"\\u00e9"}}}\n',
  );
});

test("an answer printed over several lines is one line of the results", () => {
  const text = line(ok('{\r\n  "text": "a\\nb"\n}'));
  expect(text.trimEnd()).not.toMatch(/[\r\n]/);
  expect(JSON.parse(text)).toMatchObject({ result: { message: { text: "a\nb" } } });
});

test("an error carries its whole envelope", () => {
  const outcome = errorOutcome(new GatewayError("not_found", "model: x"), "call_1");
  expect(JSON.parse(line(outcome))).toEqual({
    custom_id: "a",
    result: {
      type: "errored",
      error: { type: "error", error: { type: "not_found_error", message: "model: x" }, request_id: "call_1" },
    },
  });
});

test.each(["", "<html>", "[1]", '{"cut":'])(
  "an answer that is no JSON object, %j, is an error and spoils no line",
  (body) => {
    expect(JSON.parse(line(ok(body)))).toMatchObject({ result: { type: "errored", error: { request_id: "call_1" } } });
  },
);

test("time that ran out with the batch has expired, before that it is an error", () => {
  const outcome = errorOutcome(new GatewayError("timed_out", "late"), "call_1");
  expect(itemResult("call_1", outcome, Date.now() - 1)).toBe(expiredItem);
  expect(itemResult("call_1", outcome, later).end).toBe("errored");
  expect(resultLine("a", expiredItem).toString()).toBe('{"custom_id":"a","result":{"type":"expired"}}\n');
});

test("what was cancelled says so", () => {
  expect(itemResult("call_1", errorOutcome(new GatewayError("cancelled", ""), "call_1"), later)).toBe(canceledItem);
});
