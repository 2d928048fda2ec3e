import { describe, expect, test } from "vitest";
import { setCacheBreakpoint } from "./auto-caching.ts";

const messages = '"messages":[{"role":"user","content":"hi"}]';
const mark = '"cache_control":{"type":"ephemeral"}';

function set(body: string): { readonly text: string; readonly note: string } {
  const { bytes, note } = setCacheBreakpoint(Buffer.from(body));
  return { text: bytes.toString(), note };
}

describe("the breakpoint is set at the end of what stays the same", () => {
  test("a system prompt that is text becomes a block; every other byte stays", () => {
    const body = `{ "system" : "Be\\u0020kind. Grüße" , "tools":[{"name":"a"}], ${messages} }`;
    const marked = `{ "system" : [{"type":"text","text":"Be\\u0020kind. Grüße",${mark}}] , "tools":[{"name":"a"}], ${messages} }`;
    expect(set(body)).toEqual({ text: marked, note: "caching: system" });
    expect(JSON.parse(marked)).toHaveProperty("system.0.text", "Be kind. Grüße");
  });

  test("of system blocks the last with text is marked", () => {
    const body = `{${messages},"system":[{"type":"text","text":"a"},{"type":"text","text":"b" },{"type":"text","text":""}]}`;
    expect(set(body)).toEqual({
      text: `{${messages},"system":[{"type":"text","text":"a"},{"type":"text","text":"b" ,${mark}},{"type":"text","text":""}]}`,
      note: "caching: system",
    });
  });

  test.each(["", '"system":"",', '"system":null,', '"system":[],', '"system":[{"type":"text","text":""}],'])(
    "without a system prompt (%s) the last tool that is loaded at once is marked",
    (system) => {
      const tools = (end: string): string =>
        `"tools":[{"name":"a"},{"name":"b"${end}},{"name":"c","defer_loading":true}]`;
      expect(set(`{${system}${tools("")},${messages}}`)).toEqual({
        text: `{${system}${tools(`,${mark}`)},${messages}}`,
        note: "caching: tools",
      });
    },
  );
});

describe("the body stays as it came", () => {
  test.each([
    `{"cache_control":{"type":"ephemeral"},"system":"a",${messages}}`,
    `{"system":[{"type":"text","text":"a","cache_control":null}],${messages}}`,
    `{"system":"a","messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}`,
  ])("with a mark anywhere: %s", (body) => {
    expect(set(body)).toEqual({ text: body, note: "caching: the caller's own marks" });
  });

  test.each([`{${messages}}`, `{"tools":[],${messages}}`, `{"system":5,"tools":[{},3],${messages}}`])(
    "with nothing to mark: %s",
    (body) => {
      expect(set(body)).toEqual({ text: body, note: "caching: nothing to mark" });
    },
  );
});

test("a prompt that only speaks of marks is marked", () => {
  const body = `{"system":"write \\"cache_control\\" yourself",${messages}}`;
  expect(set(body).note).toBe("caching: system");
});
