import * as fc from "fast-check";
import { cacheControl, optional, rare, word } from "./words.ts";

const base64 = fc.constantFrom("aGVsbG8=", "iVBORw0KGgo=", "JVBERi0xLjQ=");

export const text = fc.record({ type: fc.constant("text"), text: word, cache_control: cacheControl });

const image = fc.record({
  type: fc.constant("image"),
  source: fc.oneof(
    fc.record({
      type: fc.constant("base64"),
      media_type: fc.constantFrom("image/png", "image/jpeg", "image/gif", "image/webp"),
      data: base64,
    }),
    fc.constant({ type: "url", url: "https://example.com/a.png" }),
    fc.constant({ type: "file", file_id: "file_011" }),
  ),
  cache_control: cacheControl,
  transformations: rare(fc.constantFrom({ oversized_image: "downsize" }, { oversized_image: "error" })),
});

const inDocument = fc.oneof(text, image);

const document = fc.record({
  type: fc.constant("document"),
  source: fc.oneof(
    fc.record({ type: fc.constant("base64"), media_type: fc.constant("application/pdf"), data: base64 }),
    fc.record({ type: fc.constant("text"), media_type: fc.constant("text/plain"), data: word }),
    fc.record({
      type: fc.constant("content"),
      content: fc.oneof(word, fc.array(inDocument, { minLength: 1, maxLength: 2 })),
    }),
    fc.constant({ type: "url", url: "https://example.com/a.pdf" }),
    fc.constant({ type: "file", file_id: "file_012" }),
  ),
  title: optional(word),
  context: optional(word),
  citations: optional(fc.record({ enabled: fc.boolean() })),
  cache_control: cacheControl,
});

const searchResult = fc.record({
  type: fc.constant("search_result"),
  source: fc.constant("https://example.com"),
  title: word,
  content: fc.array(text, { minLength: 1, maxLength: 2 }),
  citations: rare(fc.record({ enabled: fc.boolean() })),
  cache_control: cacheControl,
});

export const userBlock = fc.oneof(
  { weight: 6, arbitrary: text },
  { weight: 2, arbitrary: image },
  { weight: 2, arbitrary: document },
  { weight: 1, arbitrary: searchResult },
);

export const thinking = fc.oneof(
  fc.record({
    type: fc.constant("thinking"),
    thinking: word,
    signature: fc.constantFrom(
      "EqQBCg==",
      "",
      "sluice:openai",
      "sluice:openai-responses:00000000:rs_1:gAAA=",
      "sluice:gemini:call:gemini-3-pro:c2ln",
    ),
  }),
  fc.constant({ type: "redacted_thinking", data: "EmwKAhgB" }),
);

/** Of a `tool_result`. */
export const resultContent = fc.oneof(word, fc.array(fc.oneof(text, image, document, searchResult), { maxLength: 2 }));
