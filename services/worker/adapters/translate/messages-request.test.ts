import { describe, expect, test } from "vitest";
import { readMessagesRequest } from "./messages-request.ts";

const hi = [{ role: "user", content: "hi" }];

function read(members: object, askedModel = "gpt-5"): ReturnType<typeof readMessagesRequest> {
  const body = Buffer.from(JSON.stringify({ model: askedModel, max_tokens: 9, messages: hi, ...members }));
  return readMessagesRequest({ askedModel, operation: "messages", body });
}

const user = (...content: object[]): object => ({ messages: [{ role: "user", content }] });

test("neighbours of one role are one turn, and blocks remember their place", () => {
  const messages = [
    ...hi,
    { role: "user", content: [{ type: "text", text: "you" }] },
    { role: "assistant", content: "a" },
  ];
  expect(read({ messages }).request).toMatchObject({
    turns: [
      {
        role: "user",
        blocks: [
          { text: "hi", path: "messages.0.content" },
          { text: "you", path: "messages.1.content.0" },
        ],
      },
      { role: "assistant" },
    ],
    prefillPath: "messages.2.content",
  });
});

test("hints are noted, each once", () => {
  const cached = { type: "text", text: "x", cache_control: { type: "ephemeral" } };
  const { reading } = read({
    ...user(cached, cached),
    metadata: { user_id: "u" },
    service_tier: "auto",
    providerOptions: { gateway: { only: ["openai"] } },
  });
  expect(reading.notes.toSorted()).toEqual(["dropped: cache_control", "dropped: metadata", "dropped: service_tier"]);
});

test("members that say nothing are none", () => {
  const { reading } = read({ container: null, mcp_servers: [], speed: "standard", inference_geo: "global", tools: [] });
  expect(reading.notes).toEqual([]);
});

const search = { type: "web_search_20250305", name: "web_search" };

describe("what another family lacks", () => {
  const rows: readonly (readonly [string, object, string])[] = [
    ["hosted tools", { tools: [search] }, "tools.0"],
    ["context management", { context_management: { edits: [] } }, "context_management"],
    ["servers of tools", { mcp_servers: [{ name: "x" }] }, "mcp_servers"],
    ["fast mode", { speed: "fast" }, "speed"],
    ["a task budget", { output_config: { task_budget: { total: 1 } } }, "output_config.task_budget"],
    [
      "citations",
      user({ type: "document", source: { type: "text", data: "t" }, citations: { enabled: true } }),
      "messages.0.content.0.citations",
    ],
    [
      "blocks of hosted tools",
      { messages: [...hi, { role: "assistant", content: [{ type: "server_tool_use" }] }, ...hi] },
      "messages.1.content.0",
    ],
  ];
  test.each(rows)("%s: refused by its place", (_, members, path) => {
    expect(() => read(members)).toThrow(new RegExp(`^${path.replaceAll(".", "\\.")}: `));
  });
  test.each(rows)("%s: left out with a note where it stands in for Claude", (_, members) => {
    expect(read(members, "claude-opus-5").reading.notes).toHaveLength(1);
  });
});

describe("what nobody else can do is refused even where another family stands in", () => {
  const rows: readonly (readonly [string, object, string])[] = [
    ["a member nobody knows", { wish: 1 }, "wish: "],
    ["a container", { container: "c" }, "container: "],
    ["a place", { inference_geo: "us" }, "inference_geo: "],
    ["filling a cache", { max_tokens: 0 }, "max_tokens: "],
    ["a file", user({ type: "image", source: { type: "file", file_id: "f" } }), "messages.0.content.0.source: "],
    ["an unknown block", user({ type: "hologram" }), "messages.0.content.0: "],
    ["an unknown member of a block", user({ type: "text", text: "x", tone: "low" }), "messages.0.content.0.tone: "],
    ["a tool that is not there", { tools: [search], tool_choice: { type: "tool", name: "web_search" } }, "tool_choice"],
    ["half a message", { messages: [{ role: "user" }] }, "messages.0.content: "],
    ["no message", { messages: [] }, "messages: "],
    [
      "a picture said by the assistant",
      { messages: [{ role: "assistant", content: [{ type: "image", source: { type: "url", url: "u" } }] }] },
      "messages.0.content.0: ",
    ],
  ];
  test.each(rows)("%s", (_, members, start) => {
    expect(() => read(members, "claude-opus-5")).toThrow(new RegExp(`^${start.replaceAll(".", "\\.")}`));
  });
});

test("tools that the caller runs become plain tools", () => {
  const { request, reading } = read({
    tools: [
      { type: "bash_20250124", name: "bash" },
      { name: "f", input_schema: {} },
    ],
  });
  expect(request.tools.map(({ name }) => name)).toEqual(["bash", "f"]);
  expect(reading.notes).toEqual(["adapted: client tool as a plain tool"]);
});

test("a count has no max_tokens", () => {
  const body = Buffer.from(JSON.stringify({ model: "m", messages: hi }));
  expect(readMessagesRequest({ askedModel: "m", operation: "count_tokens", body }).request.turns).toHaveLength(1);
});
