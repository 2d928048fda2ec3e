import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { welcome } from "./welcome.ts";

const facts = {
  url: "http://127.0.0.1:8080",
  key: "sk-sluice-a_b",
  keyFile: ".sluice/key",
  keyNames: [],
  model: "claude-sonnet-5-5",
  simulated: true,
  namesProviders: false,
  configFile: undefined,
  hosts: ["127.0.0.1:9100"],
  metricsUrl: "http://127.0.0.1:4000/metrics",
  doubts: [],
};

/** The words that a shell makes of the printed call. */
function shellWords(text: string): string[] {
  const line = text.split("\n").find((candidate) => candidate.includes("curl ")) ?? "";
  return execFileSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" })
    .trim()
    .split("\n");
}

test("the printed call is one line that a shell reads as meant", () => {
  const words = shellWords(welcome(facts));
  expect(words).toEqual([
    "curl",
    "-s",
    "http://127.0.0.1:8080/v1/messages",
    "-H",
    "x-api-key: sk-sluice-a_b",
    "-H",
    "content-type: application/json",
    "-H",
    "anthropic-version: 2023-06-01",
    "-d",
    '{"model":"claude-sonnet-5-5","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}',
    "-w",
    "\\n",
  ]);
});

test("the README prints the same call, with the key from its file", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const [printed = ""] = /curl .*/.exec(welcome({ ...facts, key: "$(cat .sluice/key)" })) ?? [];
  expect(readme.replaceAll(/ \\\n */g, " ")).toContain(`\n${printed}\n`);
});

test("where everything is, is said", () => {
  const text = welcome(facts);
  expect(text).toContain("  URL      http://127.0.0.1:8080\n");
  expect(text).toContain("  key      sk-sluice-a_b  (kept in .sluice/key)\n");
  expect(text).toContain("  calls    go to the simulator; ");
  const named = welcome({ ...facts, namesProviders: true, configFile: "/here/sluice.wires.example.yaml" });
  expect(named).toContain("  calls    go to the simulator, as the config file says\n");
  expect(named).not.toContain("ANTHROPIC_API_KEY");
  expect(
    welcome({ ...facts, namesProviders: true, configFile: "/c.yaml", hosts: ["api.anthropic.com", "127.0.0.1:9100"] }),
  ).toContain("  calls    go to api.anthropic.com, 127.0.0.1:9100\n");
  expect(text).toContain("  metrics  http://127.0.0.1:4000/metrics\n");
  expect(welcome({ ...facts, simulated: false, hosts: ["api.anthropic.com", "eu.example"] })).toContain(
    "  calls    go to api.anthropic.com, eu.example\n",
  );
});

test("a config file that names no provider is not said to have chosen the simulator", () => {
  expect(welcome({ ...facts, configFile: "/here/sluice.yaml" })).toContain(
    "  calls    go to the simulator: the config file names no provider; ANTHROPIC_API_KEY=… npm start calls Anthropic\n",
  );
});

test("what the config hardly means is said where it is read", () => {
  const doubts = [{ member: "providers.one.api_key", why: "is missing: the vendor will refuse every call" }];
  expect(welcome({ ...facts, doubts })).toContain(
    "metrics\n  doubtful providers.one.api_key is missing: the vendor will refuse every call\n",
  );
});

test("where no key of the file can be used, none is offered", () => {
  const text = welcome({ ...facts, key: undefined, keyFile: undefined, keyNames: [] });
  expect(text).toContain("  key      none: every key of the config file is disabled or has expired\n");
});

test("where only the keys' hashes are known, they are named and the call leaves the key out", () => {
  const text = welcome({ ...facts, key: undefined, keyFile: undefined, keyNames: ["ci", "laptop"] });
  expect(text).toContain("  key      one of the config file's: ci, laptop\n");
  expect(shellWords(text)).toContain("x-api-key: YOUR_KEY");
});
