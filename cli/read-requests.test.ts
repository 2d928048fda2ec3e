import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { batchBody } from "./batch-body.ts";
import { readRequests } from "./read-requests.ts";
import { UsageError } from "./usage-error.ts";

const none = { model: undefined, maxTokens: undefined };
const plain = { model: "claude-opus-4-8", maxTokens: 100 };

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function read(text: string, defaults: Parameters<typeof readRequests>[1] = none): Promise<string[]> {
  return collect(readRequests(Readable.from([Buffer.from(text)]), defaults));
}

test("Anthropic's lines are sent as they came, whatever is in them", async () => {
  const line = '{"custom_id":"a",  "params": {"model":"m", "big": 12345678901234567890, "later": [null]}}';
  expect(await read(`${line}\n`)).toEqual([line]);
});

test("a plain prompt becomes one user turn", async () => {
  const [json = ""] = await read('{"custom_id":"a","prompt":"Say \\"hello\\"."}', plain);
  expect(JSON.parse(json)).toEqual({
    custom_id: "a",
    params: { model: "claude-opus-4-8", max_tokens: 100, messages: [{ role: "user", content: 'Say "hello".' }] },
  });
});

test("both kinds, CRLF, empty lines and a byte order mark are taken", async () => {
  const text = '\uFEFF{"custom_id":"a","prompt":"x"}\r\n\r\n   \n{"custom_id":"b","params":{}}';
  expect(await read(text, plain)).toHaveLength(2);
});

test.each([
  ["", "holds no requests"],
  ["\n\n", "holds no requests"],
  ["{", "line 1: not JSON"],
  ['{"custom_id":"a","params":{}}\nnull', "line 2: not a JSON object"],
  ["[1]", "line 1: not a JSON object"],
  ['{"params":{}}', "line 1: custom_id"],
  ['{"custom_id":7,"params":{}}', "line 1: custom_id"],
  ['{"custom_id":"","params":{}}', "line 1: custom_id"],
  ['{"custom_id":"a b","params":{}}', "line 1: custom_id"],
  [`{"custom_id":"${"a".repeat(65)}","params":{}}`, "line 1: custom_id"],
  ['{"custom_id":"a"}', 'line 1: needs either "params"'],
  ['{"custom_id":"a","params":{},"prompt":"x"}', 'line 1: needs either "params"'],
  ['{"custom_id":"a","params":[]}', 'line 1: needs either "params"'],
  ['{"custom_id":"a","prompt":""}', 'line 1: needs either "params"'],
  ['{"custom_id":"a","prompt":"x"}', "--model and --max-tokens"],
  ['{"custom_id":"a","params":{}}\n\n{"custom_id":"a","params":{}}', 'line 3: custom_id "a" is that of line 1 too'],
])("%j is refused: %s", async (text, words) => {
  const reason: unknown = await read(text).catch((caught: unknown) => caught);
  expect(reason).toBeInstanceOf(UsageError);
  expect((reason as UsageError).message).toContain(words);
});

test("a body is one JSON document however many requests are in it, and leaves in large pieces", async () => {
  const lines = Array.from({ length: 5_000 }, (_, i) => `{"custom_id":"${i}","params":{"text":"${"x".repeat(50)}"}}`);
  const told: number[] = [];
  const requests = readRequests(Readable.from([Buffer.from(lines.join("\n"))]), none);
  const pieces = await collect(batchBody(requests, (count) => void told.push(count)));
  const body = JSON.parse(Buffer.concat(pieces).toString()) as { requests: { custom_id: string }[] };
  expect(body.requests.map(({ custom_id }) => custom_id)).toEqual(lines.map((_, i) => String(i)));
  expect(pieces.length).toBeLessThan(10);
  expect(told.at(-1)).toBe(5_000);
});
