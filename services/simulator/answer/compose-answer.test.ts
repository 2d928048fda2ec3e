import { expect, test } from "vitest";

import { composeAnswer } from "./compose-answer.ts";
import type { Answer, Prompt } from "./prompt.ts";

const prompt = (more: Partial<Prompt> = {}): Prompt => ({
  text: "hello",
  toolResults: [],
  tools: [],
  toolChoice: { type: "auto" },
  thinking: "off",
  maxTokens: 1000,
  stopSequences: [],
  ...more,
});
const textOf = ({ blocks }: Answer): string =>
  blocks.map((block) => (block.type === "text" ? block.pieces.join("") : "")).join("");
const tools = (count: number): Prompt["tools"] =>
  Array.from({ length: count }, (_, index) => ({ name: `tool_${index}`, schema: { type: "object" } }));
const toolNames = ({ blocks }: Answer): string[] =>
  blocks.flatMap((block) => (block.type === "tool_use" ? [block.name] : []));

test("a long text is repeated as its beginning, its length and its hash", () => {
  expect(textOf(composeAnswer(prompt({ text: "ab".repeat(5000) }), {}))).toMatch(
    /^You said: (ab){100}… \(10000 characters, sha256 [0-9a-f]{16}\)$/,
  );
});

test("tokens= is the length to the token, and max_tokens cuts it", () => {
  expect(composeAnswer(prompt(), { tokens: 300 })).toMatchObject({ outputTokens: 300, stopReason: "end_turn" });
  expect(composeAnswer(prompt({ maxTokens: 50 }), { tokens: 300 })).toMatchObject({
    outputTokens: 50,
    stopReason: "max_tokens",
  });
  expect(composeAnswer(prompt({ maxTokens: 0 }), {})).toMatchObject({ blocks: [], stopReason: "max_tokens" });
});

test("thinking counts as output and is empty when it is omitted", () => {
  const shown = composeAnswer(prompt({ thinking: "summarized" }), { thinkingTokens: 30 });
  expect(shown).toMatchObject({ thinkingTokens: 30, outputTokens: 33 });
  const omitted = composeAnswer(prompt({ thinking: "omitted" }), { thinkingTokens: 30 });
  expect(omitted.blocks[0]).toMatchObject({ type: "thinking", thinking: "", pieces: [], tokens: 30 });
});

test("the first stop sequence in the text ends it", () => {
  const answer = composeAnswer(prompt({ text: "one two three", stopSequences: ["three", " two", ""] }), {});
  expect(textOf(answer)).toBe("You said: one");
  expect(answer).toMatchObject({ stopReason: "stop_sequence", stopSequence: " two" });
});

test("of a few tools the first is called, of many only one that is mentioned", () => {
  expect(toolNames(composeAnswer(prompt({ tools: tools(3) }), {}))).toEqual(["tool_0"]);
  expect(toolNames(composeAnswer(prompt({ tools: tools(3), text: "use tool_2 now" }), {}))).toEqual(["tool_2"]);
  expect(toolNames(composeAnswer(prompt({ tools: tools(20) }), {}))).toEqual([]);
  expect(toolNames(composeAnswer(prompt({ tools: tools(20), text: "tool_1, please" }), {}))).toEqual(["tool_1"]);
});

test("tool_choice, results and markers decide whether a tool is called", () => {
  const three = tools(3);
  expect(toolNames(composeAnswer(prompt({ tools: three, toolChoice: { type: "none" } }), {}))).toEqual([]);
  expect(toolNames(composeAnswer(prompt({ tools: three, toolResults: ["done"] }), {}))).toEqual([]);
  const forced = prompt({ tools: three, toolChoice: { type: "tool", name: "tool_1" }, toolResults: ["done"] });
  expect(toolNames(composeAnswer(forced, {}))).toEqual(["tool_1"]);
  expect(textOf(composeAnswer(forced, {}))).toBe("");
  expect(toolNames(composeAnswer(prompt({ tools: three }), { toolCalls: 2, tool: "tool_2" }))).toEqual([
    "tool_2",
    "tool_2",
  ]);
  expect(toolNames(composeAnswer(prompt({ tools: three }), { toolCalls: 0 }))).toEqual([]);
});
