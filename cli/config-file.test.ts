import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { addKey, renderKey } from "./config-file.ts";

const key = { name: "new", sha256: "ab".repeat(32) };

test("a key is added and everything else stays, comments and variables too", () => {
  const text = readFileSync(new URL("../sluice.example.yaml", import.meta.url), "utf8");
  const added = addKey(text, { ...key, models: ["claude-*"] });
  const at = Array.from({ length: text.length }).findIndex((_, index) => text[index] !== added[index]);
  const rest = text.length - at;
  expect(added.slice(0, at) + added.slice(added.length - rest)).toBe(text);
  expect((parse(added) as { keys: unknown[] }).keys.at(-1)).toEqual({ ...key, models: ["claude-*"] });
});

test.each([
  "",
  "# only a remark\n",
  "server: { port: 1 }\n",
  "keys:\n",
  "keys: []\n",
  "keys: [{ name: a, key: k }]\n",
  "keys:\n  -\n    name: a\n    key: k\n",
])("a file of %j gets its keys", (text) => {
  const keys = (parse(addKey(text, key)) as { keys: unknown[] }).keys;
  expect(keys.at(-1)).toEqual(key);
  if (text.startsWith("#")) expect(addKey(text, key)).toContain("# only a remark");
});

test.each([
  "keys:\n- name: a\n  key: k\n",
  "keys:\n  - name: a\n    key: k",
  "keys:\n    - name: a # first\n      key: k # second\n    # after\n\nlog: { level: info } # last\n",
  "keys:\n  - { name: a, key: k } # remark\nlog:\n  level: info\n",
])("a list of lines keeps its own: %j", (text) => {
  const added = addKey(text, key);
  const { keys, log } = parse(added) as { keys: unknown[]; log?: unknown };
  expect(keys).toEqual([{ name: "a", key: "k" }, key]);
  expect(log).toEqual((parse(text) as { log?: unknown }).log);
  for (const line of text.split("\n")) expect(added.split("\n")).toContain(line);
});

test.each([
  ["keys: [", "not YAML"],
  ["- a", "not a mapping"],
  ["keys: yes", "not a list"],
  ["keys:\n  - { name: new, key: k }", "already"],
])("a file of %j is refused: %s", (text, words) => {
  expect(() => addKey(text, key)).toThrow(words);
});

test("the printed lines are those of the file", () => {
  expect(parse(renderKey(key))).toEqual({ keys: [key] });
});
