import { expect, test } from "vitest";
import { interpolate } from "./interpolate.ts";

const strict = { mayLack: () => false };
const environment = { NAME: "value", EMPTY: "" };

test.each([
  ["${NAME}", "value"],
  ["a-${NAME}-${NAME}", "a-value-value"],
  ["${NAME:-other}", "value"],
  ["${UNSET:-other}", "other"],
  ["${EMPTY:-other}", "other"],
  ["${UNSET:-}", ""],
  ["${EMPTY}", ""],
  ["${UNSET:-http://a:1/b?c-d}", "http://a:1/b?c-d"],
  ["$NAME and $$", "$NAME and $$"],
  ["$${NAME}", "${NAME}"],
])("%s is %o", (text, expected) => {
  expect(interpolate({ a: [text] }, environment, strict)).toMatchObject({ tree: { a: [expected] }, faults: [] });
});

test("a variable that is not set is a fault with its path", () => {
  const { faults } = interpolate({ a: { b: [1, "${UNSET} ${ALSO_UNSET}"] } }, environment, strict);
  expect(faults).toEqual([
    { at: ["a", "b", 1], message: "the environment variable UNSET is not set: set it, or delete a.b" },
    { at: ["a", "b", 1], message: "the environment variable ALSO_UNSET is not set: set it, or delete a.b" },
  ]);
});

test("something that looks like a variable and is none is a fault", () => {
  const { faults } = interpolate({ a: "${NOT A NAME}" }, environment, strict);
  expect(faults[0]?.message).toContain("begins the name of a variable");
});

test("a member that may be missing is left out when its variable is unset or empty", () => {
  const tree = { a: "${UNSET}", b: "${EMPTY}", c: "${NAME}" };
  expect(interpolate(tree, environment, { mayLack: () => true })).toMatchObject({ tree: { c: "value" }, faults: [] });
  expect(Object.keys(interpolate(tree, environment, { mayLack: () => true }).tree as object)).toEqual(["c"]);
});

test("values that were nothing but a variable are remembered", () => {
  const { substituted } = interpolate({ a: "${NAME}", b: "x${NAME}", c: "plain" }, environment, strict);
  expect([...substituted]).toEqual(["a"]);
});
