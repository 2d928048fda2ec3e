import { expect, test } from "vitest";
import { bestOf } from "../../../../test/support/best-of.ts";
import { toGeminiSchema } from "./to-gemini-schema.ts";

test.each([
  ["null beside a type", { type: ["string", "null"] }, { type: "STRING", nullable: true }],
  ["several types", { type: ["string", "integer"] }, { anyOf: [{ type: "STRING" }, { type: "INTEGER" }] }],
  [
    "one choice beside null",
    { anyOf: [{ type: "null" }, { type: "array" }] },
    { type: "ARRAY", items: {}, nullable: true },
  ],
  [
    "one of several",
    { oneOf: [{ type: "string" }, { type: "boolean" }] },
    { anyOf: [{ type: "STRING" }, { type: "BOOLEAN" }] },
  ],
  ["a constant", { const: 7 }, { type: "NUMBER", format: "enum", enum: ["7"] }],
  ["formats that it has and has not", { type: "string", format: "uri" }, { type: "STRING" }],
  ["members that it has not", { type: "object", additionalProperties: false, $schema: "x" }, { type: "OBJECT" }],
  [
    "a reference",
    { $ref: "#/$defs/a~1b", description: "d", $defs: { "a/b": { type: "integer", minimum: 1 } } },
    { type: "INTEGER", minimum: 1, description: "d" },
  ],
  [
    "parts laid over one another",
    {
      allOf: [
        { properties: { a: { type: "string" } }, required: ["a"] },
        { properties: { b: { type: "number" } }, required: ["b"] },
      ],
    },
    { type: "OBJECT", properties: { a: { type: "STRING" }, b: { type: "NUMBER" } }, required: ["a", "b"] },
  ],
])("%s", (_, schema, expected) => expect(toGeminiSchema(schema)).toEqual(expected));

test("a schema that contains itself twice ends, and soon", async () => {
  const node = { type: "object", properties: { left: { $ref: "#" }, right: { $ref: "#" } } };
  const translate = (): number => {
    const started = performance.now();
    expect(JSON.stringify(toGeminiSchema(node)).length).toBeLessThan(500_000);
    return performance.now() - started;
  };
  expect(await bestOf(3, translate, 2000)).toBeLessThan(2000);
});
