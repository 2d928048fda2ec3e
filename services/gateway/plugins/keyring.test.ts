import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { createKeyring } from "./keyring.ts";

const sha256 = (key: string): string => hash("sha256", key);

test("a key is found by its text and known by its name", () => {
  const keyring = createKeyring([{ name: "ci", sha256: sha256("k1"), models: ["claude-*"], limits: { rpm: 5 } }]);
  expect(keyring.find("k1")).toEqual({ caller: { keyId: "key:ci", models: ["claude-*"], limits: { rpm: 5 } } });
});

test("an unknown key is not found", () => {
  expect(createKeyring([{ name: "ci", sha256: sha256("k1") }]).find("k2")).toBeUndefined();
});

test("an expired key is refused as such, one that has not expired yet is not", () => {
  const keyring = createKeyring([
    { name: "old", sha256: sha256("k1"), expiresAt: Date.now() - 1 },
    { name: "new", sha256: sha256("k2"), expiresAt: Date.now() + 60_000 },
  ]);
  expect(keyring.find("k1")).toEqual({ refused: "expired", keyId: "key:old" });
  expect(keyring.find("k2")).toEqual({ caller: { keyId: "key:new" } });
});

test("a disabled key is refused as such", () => {
  expect(createKeyring([{ name: "off", sha256: sha256("k1"), disabled: true }]).find("k1")).toEqual({
    refused: "disabled",
    keyId: "key:off",
  });
});

test("replaced keys are gone and new ones are found", () => {
  const keyring = createKeyring([{ name: "a", sha256: sha256("k1") }]);
  keyring.replace([{ name: "b", sha256: sha256("k2") }]);
  expect(keyring.find("k1")).toBeUndefined();
  expect(keyring.find("k2")).toEqual({ caller: { keyId: "key:b" } });
});
