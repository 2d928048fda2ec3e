import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { SortedBetas } from "./adapter.ts";
import { createBetaTable, type BetaQuestion } from "./betas.ts";

const table = createBetaTable();

function sort(wire: string, flags: readonly string[], more: Partial<BetaQuestion> = {}): SortedBetas {
  const models = ["claude-opus-4-5", "anthropic.claude-opus-4-5-20251101-v1:0"];
  return table.sortFlags({ wire, own: undefined, models, flags, refused: undefined, ...more });
}

describe("the built-in table", () => {
  test("sends every flag to Anthropic and whoever speaks its API", () =>
    expect(sort("anthropic", ["made-up-2026-01-01"])).toEqual({
      header: ["made-up-2026-01-01"],
      body: [],
      dropped: [],
    }));

  test("moves flags to the body for Bedrock, renames one, and drops those it takes for invalid", () =>
    expect(
      sort("bedrock", [
        "context-1m-2025-08-07",
        "advanced-tool-use-2025-11-20",
        "prompt-caching-2024-07-31",
        "made-up-2026-01-01",
      ]),
    ).toEqual({
      header: [],
      body: ["context-1m-2025-08-07", "tool-search-tool-2025-10-19"],
      dropped: ["prompt-caching-2024-07-31", "made-up-2026-01-01"],
    }));

  test("knows that later models on Bedrock need no selector for what they do anyway", () => {
    const models = ["claude-opus-4-8", "global.anthropic.claude-opus-4-8"];
    const flags = ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"];
    expect(sort("bedrock", flags, { models })).toMatchObject({
      body: ["context-1m-2025-08-07"],
      dropped: ["interleaved-thinking-2025-05-14"],
    });
    expect(sort("bedrock", flags).body).toEqual(flags);
  });

  test.each(["bedrock/mantle", "vertex", "foundry"])("sends %s what it knows in the header", (wire) =>
    expect(sort(wire, ["interleaved-thinking-2025-05-14", "message-threads-2026-08-12"])).toEqual({
      header: ["interleaved-thinking-2025-05-14"],
      body: [],
      dropped: ["message-threads-2026-08-12"],
    }),
  );

  test.each(["openai", "gemini"])("sends %s none", (wire) =>
    expect(sort(wire, ["context-1m-2025-08-07"]).dropped).toEqual(["context-1m-2025-08-07"]),
  );
});

test("a provider's own rules go first, for the models they are about", () => {
  const own = [
    { models: ["claude-opus-*"], flags: { "made-up-*": "send", "context-1m-*": "header", "pdfs-*": "drop" } },
  ];
  const flags = ["made-up-1", "context-1m-2025-08-07", "pdfs-2024-09-25"];
  expect(sort("bedrock", flags, { own })).toEqual({
    header: ["context-1m-2025-08-07"],
    body: ["made-up-1"],
    dropped: ["pdfs-2024-09-25"],
  });
  expect(sort("bedrock", flags, { own, models: ["claude-haiku-4-5"] }).dropped).toEqual(["made-up-1"]);
});

test("a flag is sent once, and not at all once the target has refused it under either name", () => {
  const flags = ["advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19"];
  expect(sort("bedrock", flags).body).toEqual(["tool-search-tool-2025-10-19"]);
  const refused = new Set(["tool-search-tool-2025-10-19"]);
  expect(sort("bedrock", flags, { refused })).toEqual({ header: [], body: [], dropped: flags });
});

test("the table is read again when told so, and one that cannot be used changes nothing", () => {
  const path = join(mkdtempSync(join(tmpdir(), "betas-")), "betas.yaml");
  writeFileSync(path, "bedrock: { place: body, unknown: drop }");
  const own = createBetaTable(pathToFileURL(path));
  const question = { wire: "bedrock", own: undefined, models: [], flags: ["a-1"], refused: undefined };
  expect(own.sortFlags(question).dropped).toEqual(["a-1"]);
  writeFileSync(path, "bedrock: { place: body, unknown: send }");
  own.reload();
  expect(own.sortFlags(question).body).toEqual(["a-1"]);
  for (const [text, fault] of [
    ["bedrock: { place: nowhere, unknown: send }", "bedrock.place"],
    ["bedrock: { place: body, unknown: maybe }", "bedrock.unknown"],
    ["bedrock: { place: body, unknown: drop, rules: [{ flags: { a: 1 } }] }", "bedrock.rules[0].flags"],
    ["[]", "must be a mapping"],
  ] as const) {
    writeFileSync(path, text);
    expect(() => own.reload()).toThrow(fault);
  }
  expect(own.sortFlags(question).body).toEqual(["a-1"]);
});
