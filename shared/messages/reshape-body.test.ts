import { describe, expect, test } from "vitest";
import { nameList } from "./json-members.ts";
import { reshapeBody } from "./reshape-body.ts";

const take = nameList("model", "stream");

function reshape(text: string): { readonly text: string; readonly taken: Record<string, string> } {
  const seen: Record<string, string> = {};
  const pieces = reshapeBody(Buffer.from(text), {
    take,
    put: (taken) => {
      for (const name of take.names) if (taken[name]) seen[name] = taken[name].toString();
      return { v: '"1"' };
    },
  });
  return { text: Buffer.concat(pieces).toString(), taken: seen };
}

describe("reshaping a body", () => {
  test.each([
    ['{"model":"m","a":1}', '{"v":"1","a":1}'],
    ['{"a":1,"model":"m"}', '{"v":"1","a":1}'],
    ['{"a":1,"model":"m","stream":true}', '{"v":"1","a":1}'],
    ['{"model":"m","stream":true,"a":1}', '{"v":"1","a":1}'],
    ['{"stream":true,"a":1,"model":"m"}', '{"v":"1","a":1}'],
    ['{"model":"m"}', '{"v":"1"}'],
    ['{"model":"m","stream":false}', '{"v":"1"}'],
    ['{"a":1}', '{"v":"1","a":1}'],
    ['{"a":{"model":"inner","stream":1},"model":"m"}', '{"v":"1","a":{"model":"inner","stream":1}}'],
  ])("%s becomes %s", (given, expected) => expect(reshape(given).text).toBe(expected));

  test("whatever is kept keeps its bytes, whitespace and escapes included", () => {
    const text = ' {\n  "a" : "\\u00e9 é" ,\n  "\\u006dodel" : "m" ,\n\t"b":[ 1.0 , 2e3 ]\n}\n';
    const reshaped = reshape(text).text;
    expect(reshaped).toContain('\n  "a" : "\\u00e9 é" ');
    expect(reshaped).toContain(',\n\t"b":[ 1.0 , 2e3 ]\n}\n');
    expect(JSON.parse(reshaped)).toEqual({ v: "1", a: "é é", b: [1, 2000] });
  });

  test("what is taken out is shown as it was written", () => {
    expect(reshape('{"model": "m\\"x" ,"stream":true}').taken).toEqual({ model: '"m\\"x"', stream: "true" });
    expect(reshape('{"a":1}').taken).toEqual({});
  });

  test("a large value is shared, not copied", () => {
    const bytes = Buffer.from(`{"model":"m","a":"${"x".repeat(100_000)}"}`);
    const pieces = reshapeBody(bytes, { take, put: () => ({ v: "1" }) });
    expect(pieces.some((piece) => piece.buffer === bytes.buffer && piece.length > 100_000)).toBe(true);
  });
});
