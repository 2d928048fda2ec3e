import { loadConfig } from "#shared/config/load-config.ts";
import type { SluiceConfig } from "#shared/config/schema.ts";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readBuiltinModels } from "./builtin-models.ts";
import { createCatalogue } from "./catalogue.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-catalogue-"));
afterAll(() => rmSync(folder, { recursive: true }));

function configure(text: string): SluiceConfig {
  const file = join(folder, "sluice.yaml");
  writeFileSync(file, text);
  return loadConfig({ SLUICE_CONFIG: file });
}

describe("without configured models", () => {
  const catalogue = createCatalogue(loadConfig({}));

  test("every built-in model goes through every provider in order", () => {
    const names = catalogue.list().map(({ name }) => name);
    expect(names).toEqual([...readBuiltinModels().keys()]);
    for (const { name, targets, claude } of catalogue.list()) {
      expect(targets).toEqual([
        { provider: "simulator", model: name },
        { provider: "simulator-2", model: name },
      ]);
      expect(claude).toBe(true);
    }
  });

  test.each(["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2", "claude-opus-4-8"])(
    "%s, which Claude Code asks for, is there",
    (name) => {
      expect(catalogue.find(name)?.name).toBe(name);
    },
  );

  test("every built-in model is found by both of its creator's forms", () => {
    for (const { name } of catalogue.list()) {
      const dotted = name.replace(/-(\d)-(\d)$/, "-$1.$2");
      expect(catalogue.find(`anthropic/${name}`)?.name).toBe(name);
      expect(catalogue.find(`anthropic/${dotted}`)?.name).toBe(name);
    }
  });

  test.each([
    ["anthropic/claude-opus-4.8", "claude-opus-4-8"],
    ["anthropic/claude-opus-4.6", "claude-opus-4-6"],
    ["anthropic/claude-opus-5", "claude-opus-5"],
    ["claude-opus-4-5-20251101", "claude-opus-4-5"],
    ["claude-haiku-4-5-20251001", "claude-haiku-4-5"],
    ["claude-sonnet-4-5-20250929", "claude-sonnet-4-5"],
  ])("%s is %s", (asked, name) => {
    expect(catalogue.find(asked)?.name).toBe(name);
  });

  test.each(["__proto__", "constructor", "toString", "", "claude-opus-4-1", "Claude-Opus-5", "hasOwnProperty"])(
    "%o is nothing",
    (asked) => {
      expect(catalogue.find(asked)).toBeUndefined();
    },
  );

  test("a model is described as Anthropic describes it", () => {
    const [yes, no] = [{ supported: true }, { supported: false }];
    expect(catalogue.find("claude-sonnet-4-5")?.info).toEqual({
      id: "claude-sonnet-4-5",
      type: "model",
      display_name: "Claude Sonnet 4.5",
      created_at: "2025-09-29T00:00:00Z",
      max_input_tokens: 200_000,
      max_tokens: 64_000,
      line: "sonnet",
      lifecycle: "deprecated",
      deprecated_at: null,
      retires_at: "2026-11-30T00:00:00Z",
      capabilities: {
        batch: yes,
        citations: yes,
        code_execution: yes,
        context_management: {
          ...yes,
          clear_thinking_20251015: yes,
          clear_tool_uses_20250919: yes,
          compact_20260112: no,
        },
        effort: { ...no, low: no, medium: no, high: no, xhigh: no, max: no },
        image_input: yes,
        pdf_input: yes,
        structured_outputs: yes,
        server_tools: { ...yes, web_search: yes, code_execution: yes },
        thinking: { ...yes, types: { adaptive: no, enabled: yes, disabled: yes } },
      },
    });
  });

  test("what a model refuses is known", () => {
    expect([...(catalogue.find("claude-opus-5-5")?.refuses ?? [])]).toContain("forced_tool_choice");
    expect([...(catalogue.find("claude-haiku-4-5")?.refuses ?? [])]).not.toContain("prefill");
    expect(catalogue.find("claude-opus-5")?.minCachedTokens).toBe(512);
  });

  test("every entry of models.yaml is whole", () => {
    for (const { info } of catalogue.list()) {
      expect(info.display_name).toMatch(/^Claude [A-Z]/);
      expect(Number.isNaN(Date.parse(info.created_at))).toBe(false);
      expect(info.max_input_tokens).toBeGreaterThan(info.max_tokens ?? Infinity);
      expect(info.id).toContain(String(info.line));
      expect(["active", "deprecated"]).toContain(info.lifecycle);
    }
  });
});

describe("with configured models", () => {
  const catalogue = createCatalogue(
    configure(`
      providers:
        first: { type: anthropic, api_key: a }
        second: { type: anthropic, base_url: "http://127.0.0.1:1", api_key: b, models: { claude-opus-4-8: eu-opus } }
      models:
        claude-opus-4-8: { aliases: [opus], display_name: Our Opus }
        claude-haiku-5-5: { routes: [second] }
        house: { aliases: ["anthropic/claude-haiku-5.5"], routes: [{ provider: second, model: house-1 }], max_tokens: 1000 }
    `),
  );

  test("they are the whole list", () => {
    expect(catalogue.list().map(({ name }) => name)).toEqual(["claude-opus-4-8", "claude-haiku-5-5", "house"]);
    expect(catalogue.find("claude-opus-5")).toBeUndefined();
  });

  test("a model without routes goes through every provider, renamed where the provider says so", () => {
    expect(catalogue.find("opus")?.targets).toEqual([
      { provider: "first", model: "claude-opus-4-8" },
      { provider: "second", model: "eu-opus" },
    ]);
  });

  test("what is built in fills in what the configuration does not say", () => {
    const info = catalogue.find("claude-opus-4-8")?.info;
    expect(info).toMatchObject({ display_name: "Our Opus", max_tokens: 128_000, line: "opus" });
  });

  test("a configured alias goes before a derived one", () => {
    expect(catalogue.find("anthropic/claude-haiku-5.5")?.name).toBe("house");
    expect(catalogue.find("anthropic/claude-haiku-5-5")?.name).toBe("claude-haiku-5-5");
  });

  test("a model of one's own is no Claude model and little is known of it", () => {
    const house = catalogue.find("house");
    expect(house?.claude).toBe(false);
    expect(house?.targets).toEqual([{ provider: "second", model: "house-1" }]);
    expect(house?.info).toMatchObject({
      id: "house",
      display_name: "house",
      created_at: "1970-01-01T00:00:00Z",
      max_input_tokens: null,
      max_tokens: 1_000,
      line: null,
      lifecycle: "active",
    });
  });
});
