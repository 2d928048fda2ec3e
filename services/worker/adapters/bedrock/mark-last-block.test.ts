import { expect, test } from "vitest";
import { markLastBlock } from "./mark-last-block.ts";

const mark = '{"type":"ephemeral","ttl":"1h"}';
const set = (text: string): string => Buffer.concat(markLastBlock(Buffer.from(text), mark)).toString();

test.each([
  [
    '{"messages":[{"role":"user","content":"a"},{"role":"user", "content" : "h\\u00e9" }]}',
    `{"messages":[{"role":"user","content":"a"},{"role":"user", "content" : [{"type":"text","text":"h\\u00e9","cache_control":${mark}}] }]}`,
  ],
  [
    '{"messages":[{"content":[{"type":"image"}, { "type":"text","text":"x"} ]}]}',
    `{"messages":[{"content":[{"type":"image"}, {"cache_control":${mark}, "type":"text","text":"x"} ]}]}`,
  ],
  [
    '{"messages":[{"content":[{"type":"tool_use","id":"t"},{"type":"thinking","thinking":"x"}]}]}',
    `{"messages":[{"content":[{"cache_control":${mark},"type":"tool_use","id":"t"},{"type":"thinking","thinking":"x"}]}]}`,
  ],
])("%s is marked on its last block", (body, marked) => {
  expect(set(body)).toBe(marked);
});

test.each([
  '{"messages":[]}',
  '{"messages":[{"role":"user"}]}',
  '{"messages":[{"content":""}]}',
  '{"messages":[{"content":[]}]}',
  '{"messages":[{"content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}',
  '{"messages":[{"content":[{"type":"thinking","thinking":"x"}]}]}',
  '{"messages":[1,{"content":5}]}',
])("%s stays as it is", (body) => expect(set(body)).toBe(body));
