import { expect, test } from "vitest";

import { sampleSchema } from "./sample-schema.ts";

test("an object gets all its properties, the required ones first", () => {
  const schema = {
    type: "object",
    properties: { note: { type: "string" }, count: { type: "integer", minimum: 7 }, flag: { type: "boolean" } },
    required: ["count"],
  };
  expect(JSON.stringify(sampleSchema(schema, "hi"))).toBe('{"count":7,"note":"hi","flag":true}');
});

test.each<[string, unknown, unknown]>([
  ["const", { const: 5 }, 5],
  ["default", { type: "string", default: "d" }, "d"],
  ["enum", { enum: ["a", "b"] }, "a"],
  ["a nullable type", { type: ["null", "number"], maximum: 0 }, 0],
  ["anyOf with null", { anyOf: [{ type: "null" }, { type: "boolean" }] }, true],
  ["minItems", { type: "array", items: { type: "null" }, minItems: 2 }, [null, null]],
  ["an array of anything", { type: "array" }, []],
  ["format", { type: "string", format: "date" }, "2026-11-21"],
  ["maxLength", { type: "string", maxLength: 3 }, "the"],
  ["minLength", { type: "string", minLength: 12 }, "the text...."],
  ["no schema", undefined, "the text"],
  [
    "allOf",
    { allOf: [{ type: "object", properties: { a: { const: 1 } } }, { properties: { b: { const: 2 } } }] },
    { a: 1, b: 2 },
  ],
  ["$ref", { $ref: "#/$defs/x", $defs: { x: { type: "integer" } } }, 1],
])("%s", (_name, schema, expected) => {
  expect(sampleSchema(schema, "the text")).toEqual(expected);
});

test("a schema that names itself ends", () => {
  const schema = {
    type: "object",
    properties: { next: { $ref: "#" }, all: { type: "array", items: { $ref: "#" } } },
    required: ["next"],
  };
  expect(JSON.stringify(sampleSchema(schema, "x")).length).toBeLessThan(1_000_000);
});
