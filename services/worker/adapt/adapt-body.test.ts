import { describe, expect, test } from "vitest";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { adaptBody, mayHoldForeignThinking } from "./adapt-body.ts";

const catalogue = createCatalogue({ models: {}, providers: {} });

interface Adapted {
  readonly body: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

function adapt(
  body: object,
  standIn?: string,
  { wire = "anthropic", isClaude = true }: { readonly wire?: string; readonly isClaude?: boolean } = {},
): Adapted | undefined {
  const bytes = Buffer.from(JSON.stringify({ model: "asked", max_tokens: 4_000, ...body }));
  const model = standIn === undefined ? undefined : catalogue.find(standIn);
  if (standIn !== undefined && !model) throw new Error(`${standIn} is unknown`);
  const adapted = adaptBody(bytes, { operation: "messages", wire, standIn: model, isClaude });
  return adapted && { body: JSON.parse(adapted.body.toString()) as Adapted["body"], notes: adapted.notes };
}

const user = { role: "user", content: "hi" };
const foreign = { type: "thinking", thinking: "hm", signature: "sluice:openai" };
const signed = { type: "thinking", thinking: "hm", signature: "EqQBCg==" };
const text = { type: "text", text: "ho" };
const call = { type: "tool_use", id: "toolu_1", name: "f", input: {} };
const result = { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1" }] };
const turn = (...content: readonly object[]): object => ({ role: "assistant", content });

describe("where the model that was asked for is served", () => {
  test("a body without another family's reasoning stays as it is", () => {
    expect(adapt({ temperature: 1, messages: [user, turn(signed, text), user] })).toBeUndefined();
    expect(mayHoldForeignThinking(Buffer.from('{"signature":"EqQBCg=="}'))).toBe(false);
  });

  test("reasoning that came over another family's wire is taken out, Claude's own stays", () => {
    const body = { messages: [user, turn(foreign, text), user, turn(signed, text), user] };
    expect(mayHoldForeignThinking(Buffer.from(JSON.stringify(body)))).toBe(true);
    const adapted = adapt(body);
    expect(adapted?.body["messages"]).toEqual([user, turn(text), user, turn(signed, text), user]);
    expect(adapted?.notes).toEqual(["dropped: thinking of another model"]);
  });

  test("a message of nothing but such reasoning goes with it", () =>
    expect(adapt({ messages: [user, turn(foreign), user] })?.body["messages"]).toEqual([user, user]));

  test("reasoning that nobody signed is taken out for a Claude, and stays for others who speak the API", () => {
    const unsigned = { type: "thinking", thinking: "hm", signature: "" };
    const body = { messages: [user, turn(unsigned, text), user] };
    expect(mayHoldForeignThinking(Buffer.from(JSON.stringify(body)))).toBe(true);
    expect(mayHoldForeignThinking(Buffer.from('{"signature": ""}'))).toBe(true);
    expect(adapt(body)?.body["messages"]).toEqual([user, turn(text), user]);
    expect(adapt(body, undefined, { isClaude: false })).toBeUndefined();
  });

  test("text that only speaks of the mark stays", () =>
    expect(adapt({ messages: [{ role: "user", content: "sluice:openai" }] })).toBeUndefined());

  test("manual thinking is off for a turn whose tools were called without it", () => {
    const thinking = { type: "enabled", budget_tokens: 2_000 };
    const adapted = adapt({ thinking, messages: [user, turn(foreign, call), result] });
    expect(adapted?.body["thinking"]).toEqual({ type: "disabled" });
    expect(adapt({ thinking, messages: [user, turn(foreign, text), user] })?.body["thinking"]).toEqual(thinking);
  });
});

describe("where another model stands in", () => {
  test("all reasoning is taken out: it is signed for the other model", () =>
    expect(adapt({ messages: [user, turn(signed, text), user] }, "claude-opus-4-8")).toEqual({
      body: { model: "asked", max_tokens: 4_000, messages: [user, turn(text), user] },
      notes: ["dropped: thinking of another model"],
    }));

  test("a body with nothing to adapt stays as it is", () =>
    expect(adapt({ messages: [user] }, "claude-opus-5-5")).toBeUndefined());

  test("sampling parameters are left out for a model that refuses them, and only for such", () => {
    const body = { temperature: 0.5, top_p: 1, top_k: 3, messages: [user] };
    expect(adapt(body, "claude-opus-5-5")).toEqual({
      body: { model: "asked", max_tokens: 4_000, messages: [user] },
      notes: ["dropped: temperature", "dropped: top_p", "dropped: top_k"],
    });
    expect(adapt(body, "claude-haiku-4-5")).toBeUndefined();
  });

  test("a forced tool becomes the model's own choice where it cannot be forced", () => {
    const choice = { type: "tool", name: "f", disable_parallel_tool_use: true };
    const adapted = adapt({ tool_choice: choice, tools: [{ name: "f" }], messages: [user] }, "claude-opus-5-5");
    expect(adapted?.body["tool_choice"]).toEqual({ type: "auto", disable_parallel_tool_use: true });
    expect(adapted?.notes).toEqual(["adapted: tool_choice"]);
  });

  test("an answer that the caller has begun is gone on with in a turn of its own", () => {
    const adapted = adapt({ messages: [user, turn(text)] }, "claude-opus-4-8");
    expect(adapted?.body["messages"]).toMatchObject([user, turn(text), { role: "user" }]);
    expect(adapted?.notes).toEqual(["adapted: prefill"]);
    expect(adapt({ messages: [user, turn(text)] }, "claude-haiku-4-5")).toBeUndefined();
  });

  test.each([
    [
      "claude-opus-4-8",
      { type: "enabled", budget_tokens: 2_000, display: "omitted" },
      { type: "adaptive", display: "omitted" },
    ],
    ["claude-haiku-4-5", { type: "adaptive" }, { type: "enabled", budget_tokens: 2_000 }],
    ["claude-opus-5-5", { type: "disabled" }, undefined],
  ])("%s thinks as it can", (model, thinking, expected) => {
    const adapted = adapt({ thinking, messages: [user] }, model);
    expect(adapted?.body["thinking"]).toEqual(expected);
    expect(adapted?.notes).toEqual(["adapted: thinking"]);
  });

  test("effort is lowered to what the model knows, or left out", () => {
    const config = { effort: "xhigh", format: { type: "json_schema" } };
    const adapted = adapt({ output_config: config, messages: [user] }, "claude-haiku-4-5");
    expect(adapted?.body["output_config"]).toEqual({ format: { type: "json_schema" } });
    expect(adapt({ output_config: { effort: "low" }, messages: [user] }, "claude-opus-5-5")).toBeUndefined();
  });

  test("an answer is no longer than the model's longest", () =>
    expect(adapt({ max_tokens: 100_000, messages: [user] }, "claude-haiku-4-5")?.body["max_tokens"]).toBe(64_000));

  test("tools that run at the provider are left out where the wire has none", () => {
    const search = { type: "web_search_20250305", name: "web_search" };
    const own = { name: "f", input_schema: { type: "object" } };
    const messages = [user];
    expect(adapt({ tools: [search, own], messages }, "claude-opus-4-8", { wire: "bedrock" })).toMatchObject({
      body: { tools: [own] },
      notes: ["dropped: tool web_search_20250305"],
    });
    const alone = adapt({ tools: [search], tool_choice: { type: "auto" }, messages }, "claude-opus-4-8", {
      wire: "bedrock",
    });
    expect(alone?.body).toEqual({ model: "asked", max_tokens: 4_000, messages });
    expect(adapt({ tools: [search], messages }, "claude-opus-4-8", { wire: "vertex" })).toBeUndefined();
  });
});
