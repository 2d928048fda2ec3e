import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createSealer } from "./sealer.ts";

const secret = randomBytes(32);

test("a key is the same in base64 and in hex", () => {
  const sealed = createSealer(secret.toString("base64")).seal(Buffer.from("prompt"), "a");
  expect(createSealer(secret.toString("hex")).open(sealed, "a").toString()).toBe("prompt");
});

test("a changed byte, another context or a cut is found out", () => {
  const sealer = createSealer(secret.toString("hex"));
  const sealed = sealer.seal(Buffer.from("prompt"), "a");
  const changed = Buffer.from(sealed);
  changed[sealed.length - 1]! ^= 1;
  expect(() => sealer.open(changed, "a")).toThrow();
  expect(() => sealer.open(sealed, "b")).toThrow();
  expect(() => sealer.open(sealed.subarray(0, 20), "a")).toThrow("cut short");
});

test("the same bytes never look the same", () => {
  const sealer = createSealer(secret.toString("hex"));
  expect(sealer.seal(Buffer.from("prompt"), "a")).not.toEqual(sealer.seal(Buffer.from("prompt"), "a"));
});

test.each(["", "too short", "x".repeat(64)])("%j is no key", (bad) => {
  expect(() => createSealer(bad)).toThrow("32 bytes");
});
