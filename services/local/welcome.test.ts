import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { welcome } from "./welcome.ts";

const facts = {
  url: "http://127.0.0.1:8080",
  key: "sk-sluice-a_b",
  keyFile: ".sluice/key",
  model: "claude-opus-4-8",
  simulated: true,
};

/** The words that a shell makes of the printed call. */
function shellWords(text: string): string[] {
  const line = text.split("\n").find((candidate) => candidate.includes("curl ")) ?? "";
  return execFileSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8", env: { SLUICE_KEY: "own" } })
    .trim()
    .split("\n");
}

test("the printed call is one line that a shell reads as meant", () => {
  const words = shellWords(welcome(facts));
  expect(words.slice(0, 6)).toEqual([
    "curl",
    "http://127.0.0.1:8080/v1/messages",
    "-H",
    "x-api-key: sk-sluice-a_b",
    "-H",
    "content-type: application/json",
  ]);
  expect(JSON.parse(words[7] ?? "")).toMatchObject({ model: "claude-opus-4-8", max_tokens: 64 });
});

test("URL, key and the key's file are said, and that the answers are simulated", () => {
  const text = welcome(facts);
  expect(text).toContain("URL  http://127.0.0.1:8080\n");
  expect(text).toContain("key  sk-sluice-a_b  (kept in .sluice/key)\n");
  expect(text).toContain("a simulator answers");
  expect(welcome({ ...facts, simulated: false })).not.toContain("simulator");
});

test("where only the keys' hashes are known, the call takes the key from the shell", () => {
  const text = welcome({ ...facts, key: undefined, keyFile: undefined });
  expect(text).toContain("key  one of the config file's\n");
  expect(shellWords(text)).toContain("x-api-key: own");
});
