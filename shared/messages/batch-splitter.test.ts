import { expect, test } from "vitest";
import { BatchSplitter } from "./batch-splitter.ts";

function split(chunks: readonly Buffer[], limits: { bytes?: number; requests?: number } = {}): string[] {
  const requests: string[] = [];
  const splitter = new BatchSplitter({
    onRequest: (bytes, index) => {
      expect(index).toBe(requests.length);
      requests.push(bytes.toString());
    },
    maxRequestBytes: limits.bytes ?? 1000,
    maxRequests: limits.requests ?? 100,
  });
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return requests;
}

const elements = [
  `{"custom_id":"a","params":{"x":["]","}",{"y":"\\"\\\\"}]}}`,
  `{}`,
  `{"long":"${"x".repeat(40)}\\\\","quoted":"${"y".repeat(30)}\\\\\\"}${"z".repeat(50)}\\"]"}`,
  `{"deep":[[[{"{":"[\\u005d"}]]],"emoji":"🙂"}`,
];
test("the samples are JSON", () => {
  for (const element of elements) expect(JSON.parse(element)).toBeTypeOf("object");
});

const body = Buffer.from(` {\n "requests" :\t[ ${elements.join(" ,\r\n ")} ] } \n`);

test("gives each request's bytes, wherever the body is cut in two", () => {
  for (let at = 0; at <= body.length; at++) expect(split([body.subarray(0, at), body.subarray(at)])).toEqual(elements);
});

test("gives each request's bytes when the body comes byte by byte, and holds no more than one", () => {
  expect(split(Array.from(body, (_, at) => body.subarray(at, at + 1)))).toEqual(elements);
});

test("knows the member by its escaped name too", () => {
  expect(split([Buffer.from(String.raw`{"\u0072equests":[{}]}`)])).toEqual(["{}"]);
});

test.each([
  ["", "The request body is empty."],
  ["[]", "unexpected character at byte 0"],
  ['{"requests":[{}]', "it ends too early"],
  ['{"requests":[{"a":"', "it ends too early"],
  ['{"requests":[{}]} x', "unexpected character at byte 18"],
  ['{"requests":[{},]}', "requests.1: Input should be a valid dictionary"],
  ['{"requests":[{} {}]}', "unexpected character at byte 16"],
  ['{"requests":[1]}', "requests.0: Input should be a valid dictionary"],
  ['{"requests":{}}', "requests: Input should be a valid list"],
  ['{"requests":null}', "requests: Input should be a valid list"],
  ['{"requests":[{}],"requests":[]}', "requests: Member appears more than once"],
  ['{"Requests":[{}]}', "Extra inputs are not permitted"],
  ['{"requests":[{}],"model":"x"}', "Extra inputs are not permitted"],
  [`{"${"x".repeat(5000)}`, "Extra inputs are not permitted"],
  [String.raw`{"\q":[]}`, "unexpected character"],
  ["{}", "requests: Field required"],
  ['{"requests":[]}', "requests: List should have at least 1 item"],
])("refuses %j", (text, message) => {
  expect(() => split([Buffer.from(text)])).toThrow(message);
  expect(() => split(Array.from(Buffer.from(text), (byte) => Buffer.from([byte])))).toThrow(message);
});

test("refuses a request that is too large before it is there, and one too many", () => {
  const large = Buffer.from(`{"requests":[{"a":"${"x".repeat(100)}`);
  expect(() => split([large], { bytes: 50 })).toThrow(expect.objectContaining({ code: "request_too_large" }));
  expect(() => split([Buffer.from('{"requests":[{},{},{}]}')], { requests: 2 })).toThrow("at most 2 items");
});
