import { expect, test } from "vitest";
import { readPriority } from "./priority.ts";

test.each([
  [undefined, "interactive"],
  ["", "interactive"],
  ["interactive", "interactive"],
  ["background", "background"],
])("x-sluice-priority %j is %s", (given, expected) => {
  expect(readPriority(given === undefined ? {} : { "x-sluice-priority": given })).toBe(expected);
});

test.each(["urgent", "Background", "background, background", "0", " "])(
  "x-sluice-priority %j is refused with the words it may have",
  (given) => {
    expect(() => readPriority({ "x-sluice-priority": given })).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.stringContaining("'background'") }),
    );
  },
);
