import { describe, expect, test } from "vitest";
import { findLack, readUses } from "./wire-features.ts";

const clouds = ["bedrock", "bedrock/mantle", "vertex"];

function lack(body: object, wire: string): string | undefined {
  return findLack(readUses(Buffer.from(JSON.stringify({ model: "m", max_tokens: 9, ...body }))), wire)?.path;
}

const own = { name: "f", description: 'like "web_search_20250305"', input_schema: { type: "object" } };
const said = (...content: readonly object[]): object => ({ messages: [{ role: "user", content }] });
const image = (source: object): object => ({ type: "image", source });

describe("a tool that runs at the provider", () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ["web_search_20250305", ["bedrock", "bedrock/mantle"]],
    ["web_search_20260209", clouds],
    ["web_fetch_20250910", clouds],
    ["code_execution_20250825", clouds],
    ["mcp_toolset", clouds],
    ["advisor_20260301", [...clouds, "foundry"]],
    ["computer_toolset_20260801", [...clouds, "foundry"]],
    ["browser_toolset_20260801", [...clouds, "foundry"]],
    ["bash_20250124", []],
    ["memory_20250818", []],
    ["computer_20251124", []],
    ["tool_search_tool_regex_20251119", []],
    ["tool_of_tomorrow_20270101", []],
  ];
  test.each(rows)("%s is lacked by %j", (type, lacking) => {
    for (const wire of ["anthropic", "foundry", ...clouds])
      expect(lack({ tools: [own, { type, name: "t" }], messages: [] }, wire), wire).toBe(
        lacking.includes(wire) ? "tools.1" : undefined,
      );
  });
});

describe("a source that the provider has to fetch", () => {
  test.each([[{ type: "url", url: "https://example.com/a.png" }], [{ type: "file", file_id: "file_011" }]])(
    "%j is lacked by the clouds, wherever it stands",
    (source) => {
      const bodies: readonly (readonly [object, string])[] = [
        [said({ type: "text", text: "a" }, image(source)), "messages.0.content.1.source"],
        [said({ type: "document", source }), "messages.0.content.0.source"],
        [
          said({ type: "tool_result", tool_use_id: "t", content: [image(source)] }),
          "messages.0.content.0.content.0.source",
        ],
        [
          said({ type: "document", source: { type: "content", content: [image(source)] } }),
          "messages.0.content.0.source.content.0.source",
        ],
      ];
      for (const [body, path] of bodies) {
        for (const wire of clouds) expect(lack(body, wire)).toBe(path);
        for (const wire of ["anthropic", "foundry"]) expect(lack(body, wire)).toBeUndefined();
      }
    },
  );

  test("is a file for a container as well", () =>
    expect(lack(said({ type: "container_upload", file_id: "file_013" }), "bedrock")).toBe("messages.0.content.0"));

  test("is found in a body with spaces", () => {
    const body = Buffer.from('{"messages": [{"content": [{"type": "image", "source": {"url": "u", "type": "url"}}]}]}');
    expect(readUses(body)).toEqual([{ kind: "url", path: "messages.0.content.0.source" }]);
  });

  test("is not what a text or an input says of one", () => {
    const source = { type: "url", url: "https://example.com" };
    const call = { type: "tool_use", id: "t", name: "f", input: { source, file_id: "f" } };
    expect(lack({ messages: [{ role: "assistant", content: [call] }] }, "bedrock")).toBeUndefined();
    expect(lack({ messages: [{ role: "user", content: JSON.stringify(image(source)) }] }, "bedrock")).toBeUndefined();
  });
});

test("a body that has the shape of no call is left to who checks it", () => {
  for (const body of [
    { tools: { type: "mcp_toolset" } },
    { tools: ["mcp_toolset", null, 7], messages: "file_id" },
    { messages: [null, { content: [null, { type: "image", source: "file_id", file_id: 1 }] }] },
  ])
    expect(lack(body, "bedrock")).toBeUndefined();
});
