import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig } from "#shared/config/load-config.ts";
import { callerDoubts, modelDoubts, providerDoubts } from "./config-doubts.ts";

const folder = mkdtempSync(join(tmpdir(), "doubts-"));
afterAll(() => rmSync(folder, { recursive: true }));

function doubts(text: string): string[] {
  const file = join(folder, "sluice.yaml");
  writeFileSync(file, text);
  const config = loadConfig({ SLUICE_CONFIG: file });
  return [...providerDoubts(config), ...modelDoubts(config), ...callerDoubts(config)].map(
    ({ member, why }) => `${member}: ${why}`,
  );
}

const one = "providers: { one: { type: anthropic, api_key: k } }\n";

describe("a provider at its vendor's address without a key", () => {
  test.each([
    ["type: anthropic", ["providers.one.api_key: is missing: the vendor will refuse every call"]],
    ["type: anthropic, api_key: ''", undefined],
    ["type: anthropic, auth: bearer", ["providers.one.api_key: is missing: the vendor will refuse every call"]],
    ["type: openai", ["providers.one.api_key: is missing: the vendor will refuse every call"]],
    ["type: gemini", ["providers.one.api_key: is missing: the vendor will refuse every call"]],
    ["type: foundry, resource: acme", ["providers.one.api_key: is missing: the vendor will refuse every call"]],
    ["type: anthropic, api_key: k", []],
    ["type: anthropic, headers: { Authorization: Bearer x }", []],
    ["type: anthropic, auth: aws, region: us-east-1", []],
    ["type: anthropic, base_url: http://127.0.0.1:9", []],
    ["type: openai, base_url: http://127.0.0.1:9/v1", []],
    ["type: gemini, api: vertex, project: p", []],
    ["type: bedrock, region: us-east-1", []],
    ["type: vertex, region: us, project: p", []],
  ])("{ %s }", (members, expected) => {
    if (expected === undefined) expect(() => doubts(`providers: { one: { ${members} } }`)).toThrow("must not be empty");
    else expect(doubts(`providers: { one: { ${members} } }`)).toEqual(expected);
  });
});

describe("a caller that can do nothing", () => {
  test("with globs that no served model matches", () => {
    const text = `${one}models: { claude-sonnet-5-5: { aliases: [sonnet] }, house: { price: { input: 1, output: 1 } } }
keys:
  - { name: a, key: a, models: ["gpt-*"] }
  - { name: b, key: b, models: ["gpt-*", "hou*"] }
  - { name: c, key: c, models: [claude-sonet-5-5] }
  - { name: d, key: d, models: [sonnet] }
  - { name: e, key: e }
oidc:
  - { name: f, issuer: "https://x", audience: a, claims: { a: b }, models: [nothing] }`;
    expect(doubts(text)).toEqual([
      "keys[0].models: match no model that is served: this caller may use none",
      "keys[2].models: match no model that is served: this caller may use none (did you mean `claude-sonnet-5-5`?)",
      "keys[3].models: match no model that is served: this caller may use none (`sonnet` is an alias of `claude-sonnet-5-5`)",
      "oidc[0].models: match no model that is served: this caller may use none",
    ]);
  });

  test("with a budget, and no model whose price is known", () => {
    const text = `${one}models: { house: , claude-opus-5-5: }
keys:
  - { name: a, key: a, models: [house], budget: { usd: 1, per: day } }
  - { name: b, key: b, budget: { usd: 1, per: day } }
  - { name: c, key: c, models: [house] }`;
    expect(doubts(text)).toEqual([
      "keys[0].budget: no model that this caller may use has a known price, so every call is refused: set models.house.price",
    ]);
  });
});

describe("a model of nearly a built-in name", () => {
  test.each([
    ["claude-sonet-9:", ["models.claude-sonet-9: is not in the catalogue (did you mean `claude-sonnet-5`?)"]],
    [
      "claude-haku-4-5: { aliases: [h] }",
      ["models.claude-haku-4-5: is not in the catalogue (did you mean `claude-haiku-4-5`?)"],
    ],
    ["claude-opus-9:", []],
    ["claude-opus-5-55:", []],
    ["house:", []],
    ["claude-sonet-9: { price: { input: 1, output: 1 } }", []],
    ["claude-sonet-9: { routes: [{ provider: one, model: mine }] }", []],
    ["claude-sonnet-5-5:", []],
  ])("%s", (model, expected) => expect(doubts(`${one}models:\n  ${model}\n`)).toEqual(expected));
});

test("a config without a file raises no doubt", () => {
  const config = loadConfig({ SLUICE_KEY: "k" });
  expect([...providerDoubts(config), ...modelDoubts(config), ...callerDoubts(config)]).toEqual([]);
});
