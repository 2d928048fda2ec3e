import { expect, test } from "vitest";
import type { CallHead } from "#shared/messages/call.ts";
import { askPrint } from "./ask-print.ts";

const head = {
  keyId: "key:a",
  operation: "messages",
  headers: { "anthropic-version": "2023-06-01", "anthropic-beta": "b1", "user-agent": "one" },
} as unknown as CallHead;
const body = Buffer.from('{"model":"m"}');

test("the same request of the same key has the same print, whatever client sends it", () => {
  const other = { ...head, headers: { ...head.headers, "user-agent": "two" } };
  expect(askPrint(other, Buffer.from(body))).toBe(askPrint(head, body));
});

test.each<[string, Partial<CallHead>]>([
  ["key", { keyId: "key:b" }],
  ["operation", { operation: "count_tokens" }],
  ["version", { headers: { ...head.headers, "anthropic-version": "2026-10-21" } }],
  ["betas", { headers: { "anthropic-version": "2023-06-01" } }],
])("another %s has another print", (_name, change) => {
  expect(askPrint({ ...head, ...change }, body)).not.toBe(askPrint(head, body));
});

test("another body has another print, by a single byte", () => {
  expect(askPrint(head, Buffer.from('{"model": "m"}'))).not.toBe(askPrint(head, body));
});
