import { describe, expect, test } from "vitest";
import { nameList, scanElements, scanMembers } from "./json-members.ts";
import { openJson, skipValue } from "./json-scanner.ts";

const names = nameList("model", "stream", "max_tokens");

function members(text: string): { found: Record<string, string>; doubled: string | undefined; end: number } {
  const bytes = Buffer.from(text);
  const { found, doubled, end } = scanMembers(openJson(bytes), 0, { names });
  const values = Object.entries(found).map(([name, member]) => [
    name,
    bytes.toString("utf8", member.start, member.end),
  ]);
  return { found: Object.fromEntries(values) as Record<string, string>, doubled, end };
}

test("listed members are found with the range of their values, others are passed over", () => {
  const text = '{ "a" : {"model":1}, "model" : "m" ,"max_tokens":[1, 2], "stream":null }';
  expect(members(text)).toEqual({
    found: { model: '"m"', max_tokens: "[1, 2]", stream: "null" },
    doubled: undefined,
    end: text.length,
  });
});

test("an empty object has none", () => {
  expect(members("{ }")).toEqual({ found: {}, doubled: undefined, end: 3 });
});

test("an escaped key is the member it spells", () => {
  expect(members('{"mod\\u0065l":1}').found).toEqual({ model: "1" });
  expect(members('{"\\u006d\\u0061\\u0078\\u005f\\u0074\\u006f\\u006b\\u0065\\u006e\\u0073":1}').found).toEqual({
    max_tokens: "1",
  });
});

test("a key in another letter case is another member", () => {
  expect(members('{"Model":1}')).toMatchObject({ found: {}, doubled: undefined });
  expect(members('{"max?tokens":1,"max\\u007ftokens":1,"MAX\\u005FTOKENS":1}').found).toEqual({});
});

describe("a member counts as doubled when it is there again", () => {
  test.each([
    ['{"model":1,"model":1}', "model"],
    ['{"model":1,"mod\\u0065l":1}', "model"],
    ['{"model":1,"Model":1}', "model"],
    ['{"MODEL":1,"model":1}', "model"],
    ['{"model":1,"MOD\\u0065L":1}', "model"],
    ['{"stream":1,"\u017ftream":1}', "stream"],
    ['{"max_tokens":1,"max_to\u212aens":1}', "max_tokens"],
    ['{"max_tokens":1,"Max_Tokens":1}', "max_tokens"],
  ])("%s", (text, doubled) => {
    expect(members(text).doubled).toBe(doubled);
  });
});

test("members deeper down and unlisted members may be doubled", () => {
  expect(members('{"a":1,"a":2,"b":{"model":1,"model":2},"model":3}').doubled).toBeUndefined();
});

test("each member tells where it can be taken out", () => {
  const bytes = Buffer.from('{"stream":1 ,"x":2, "model":3}');
  const { found } = scanMembers(openJson(bytes), 0, { names });
  expect(found.stream).toEqual({ keyStart: 1, start: 10, end: 11, commaBefore: -1, next: 12 });
  expect(found.model).toEqual({ keyStart: 20, start: 28, end: 29, commaBefore: 18, next: 29 });
});

test("elements are read one by one, in order", () => {
  const bytes = Buffer.from('[ 1, "a" ,[2,3],{} ]');
  const cursor = openJson(bytes);
  const elements: string[] = [];
  const end = scanElements(cursor, 0, (start, index) => {
    const elementEnd = skipValue(cursor, start);
    elements[index] = bytes.toString("utf8", start, elementEnd);
    return elementEnd;
  });
  expect(elements).toEqual(["1", '"a"', "[2,3]", "{}"]);
  expect(end).toBe(bytes.length);
});
