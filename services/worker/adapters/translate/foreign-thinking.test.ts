import { expect, test } from "vitest";
import { foreignSignature, readForeignSignature } from "./foreign-thinking.ts";

test.each([{ type: "openai" }, { type: "gemini", opaque: "a:b=" }])("%j comes back from its signature", (foreign) => {
  expect(readForeignSignature(foreignSignature(foreign))).toEqual(foreign);
});

test("Claude's signatures are none", () => expect(readForeignSignature("EqQBCkYIBxgCKkA")).toBeUndefined());
