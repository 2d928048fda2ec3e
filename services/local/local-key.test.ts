import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { localKey } from "./local-key.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "local-key-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

test("a key is made once, for its owner's eyes only, and kept", async () => {
  const file = join(dir, "deep", "key");
  const made = await localKey(file);
  expect(made.isNew).toBe(true);
  expect(made.key).toMatch(/^sk-sluice-[\w-]{32}$/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await localKey(file)).toEqual({ key: made.key, isNew: false });
  expect(await readFile(file, "utf8")).toBe(`${made.key}\n`);
});

test("a key file that others could read is closed, an empty one is filled", async () => {
  const file = join(dir, "key");
  await writeFile(file, "mine\n", { mode: 0o644 });
  expect(await localKey(file)).toEqual({ key: "mine", isNew: false });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await writeFile(file, "\n");
  expect((await localKey(file)).isNew).toBe(true);
});
