import { expect, test } from "vitest";
import { affinityHash } from "./affinity-hash.ts";
import { scanBody } from "./scan-body.ts";

const first = { role: "user", content: [{ type: "text", text: "hello" }] };
const conversation = {
  model: "m",
  system: [{ type: "text", text: "You are terse." }],
  tools: [{ name: "t" }],
  messages: [first],
};

function hashOf(body: unknown): string | undefined {
  return affinityHash(scanBody(Buffer.from(typeof body === "string" ? body : JSON.stringify(body))));
}

test("the hash is 22 characters that fit into a key", () => {
  expect(hashOf(conversation)).toMatch(/^[\w-]{22}$/);
});

test("it stays the same as the conversation goes on", () => {
  const later = [first, { role: "assistant", content: "hi" }, { role: "user", content: "more" }];
  expect(hashOf({ ...conversation, messages: later, max_tokens: 5, stream: true })).toBe(hashOf(conversation));
});

test("it differs when tools, system or the first message differ", () => {
  const hashes = [
    hashOf(conversation),
    hashOf({ ...conversation, tools: [{ name: "u" }] }),
    hashOf({ ...conversation, system: "You are terse." }),
    hashOf({ ...conversation, messages: [{ role: "user", content: "bye" }] }),
    hashOf({ ...conversation, messages: [] }),
    hashOf({ system: "a", tools: "b" }),
    hashOf({ system: "b", tools: "a" }),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
});

test("the block that Claude Code puts first in system does not count", () => {
  const withBilling = (hex: string): unknown => ({
    ...conversation,
    system: [{ type: "text", text: `x-anthropic-billing-header: cc_version=2.1.330.${hex};` }, ...conversation.system],
  });
  expect(hashOf(withBilling("a1b"))).toBe(hashOf(withBilling("c2d")));
  expect(hashOf(withBilling("a1b"))).not.toBe(hashOf({ ...conversation, system: [] }));
});

test("cache marks do not count, wherever they stand", () => {
  const mark = '"cache_control" : {"type":"ephemeral"}';
  const plain = hashOf('{"messages":[{"content":[{"type":"text","text":"x"}]}]}');
  expect(hashOf(`{"messages":[{"content":[{"type":"text","text":"x" , ${mark}}]}]}`)).toBe(plain);
  expect(hashOf(`{"messages":[{"content":[{${mark},"type":"text","text":"x"}]}]}`)).toBe(plain);
  expect(hashOf(`{"messages":[{"content":[{"type":"text",${mark},"text":"x"}]}]}`)).toBe(plain);
});

test("the word cache_control in a text counts", () => {
  const saying = (text: string): string | undefined => hashOf({ messages: [{ content: text }] });
  expect(saying('"cache_control":{}')).not.toBe(saying(""));
  expect(saying("cache_control")).not.toBe(saying(""));
});

test("only the beginning of each piece counts", () => {
  const long = (end: string): string | undefined => hashOf({ system: "x".repeat(10_000) + end, messages: [first] });
  expect(long("a")).toBe(long("b"));
});

test("there is none without anything to hash", () => {
  expect(hashOf({ model: "m", messages: [] })).toBeUndefined();
});
