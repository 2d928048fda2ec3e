import { readFileSync } from "node:fs";
import { Value } from "typebox/value";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { configJsonSchema } from "./config-json-schema.ts";
import { loadConfig } from "./load-config.ts";

const root = new URL("../../", import.meta.url);
const example = new URL("sluice.example.yaml", root).pathname;

test("sluice.schema.json is the one that the sources make", () => {
  expect(readFileSync(new URL("sluice.schema.json", root), "utf8")).toBe(configJsonSchema());
});

test("in an editor a variable may stand for anything but a list or mapping", () => {
  const schema = JSON.parse(configJsonSchema()) as object;
  expect(Value.Check(schema, { server: { port: "${PORT:-1}" }, redis: { url: "${URL}" } })).toBe(true);
  expect(Value.Check(schema, { server: { port: "1" } })).toBe(false);
  expect(Value.Check(schema, { server: "${SERVER}" })).toBe(false);
  expect(Value.Check(schema, { serve: {} })).toBe(false);
});

/** The names of all members that a JSON Schema knows, at any depth. */
function* memberNames(schema: unknown): Generator<string> {
  if (typeof schema !== "object" || schema === null) return;
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "properties") yield* Object.keys(value as object);
    yield* memberNames(value);
  }
}

describe("sluice.example.yaml", () => {
  const environment = { ANTHROPIC_API_KEY: "a", SECOND_API_KEY: "b", CI_KEY: "c", LAPTOP_KEY_SHA256: "0".repeat(64) };

  test("it passes the schema as it stands", () => {
    expect(Value.Check(JSON.parse(configJsonSchema()) as object, parse(readFileSync(example, "utf8")))).toBe(true);
  });

  test("it has a word on every member there is", () => {
    const text = readFileSync(example, "utf8");
    const members = [...memberNames(JSON.parse(configJsonSchema()))];
    expect(members).toContain("admin");
    expect(members.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });

  test("every process can load it", () => {
    for (const process of ["gateway", "dispatcher", "worker", "simulator", "local"] as const) {
      const config = loadConfig({ SLUICE_CONFIG: example, ...environment }, { process });
      expect(Object.keys(config.providers)).toEqual(["anthropic", "second"]);
    }
  });

  test.each([
    "server",
    "redis",
    "workers",
    "engine",
    "lanes",
    "trace",
    "usage",
    "outcomes",
    "events",
    "ops",
    "log",
  ] as const)("its section %s says the defaults", (section) => {
    const written = loadConfig({ SLUICE_CONFIG: example, ...environment });
    expect(written[section]).toEqual(loadConfig({})[section]);
  });
});
