import * as fc from "fast-check";
import { cacheControl, name, optional, rare, word } from "./words.ts";

export const schema = fc.constantFrom(
  { type: "object" },
  { type: "object", properties: {} },
  {
    type: "object",
    properties: { a: { type: "string", enum: ["x"] }, b: { type: ["integer", "null"] }, c: { $ref: "#/$defs/d" } },
    required: ["a"],
    additionalProperties: false,
    $defs: { d: { type: "array", items: { anyOf: [{ type: "number" }, { type: "boolean" }] } } },
  },
);

/** A tool of the caller's own. */
export const customTool = fc.record({
  type: optional(fc.constant("custom")),
  name,
  description: optional(word),
  input_schema: schema,
  strict: optional(fc.boolean()),
  cache_control: cacheControl,
  eager_input_streaming: optional(fc.boolean()),
  defer_loading: optional(fc.boolean()),
  input_examples: optional(fc.constant([{}])),
  allowed_callers: rare(
    fc.constantFrom(["direct"], ["direct", "code_execution_20260120"], ["code_execution_20250825"]),
  ),
});
