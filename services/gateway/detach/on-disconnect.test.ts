import { expect, test } from "vitest";
import { checkDetachable, readOnDisconnect } from "./on-disconnect.ts";

test("a stream is cancelled unless its caller asks for anything else", () => {
  expect(readOnDisconnect({})).toBe("cancel");
  expect(readOnDisconnect({ "x-sluice-on-disconnect": "" })).toBe("cancel");
  expect(readOnDisconnect({ "x-sluice-on-disconnect": "cancel" })).toBe("cancel");
  expect(readOnDisconnect({ "x-sluice-on-disconnect": "detach" })).toBe("detach");
});

test.each(["Detach", "detach, cancel", "drain", "true"])("%j is refused", (value) => {
  expect(() => readOnDisconnect({ "x-sluice-on-disconnect": value })).toThrow("x-sluice-on-disconnect");
});

test("only a stream can be detached", () => {
  expect(() => checkDetachable("detach", false)).toThrow("for streams only");
  expect(() => checkDetachable("detach", true)).not.toThrow();
  expect(() => checkDetachable("cancel", false)).not.toThrow();
});
