import { describe, expect, test } from "vitest";
import { GatewayError } from "#shared/messages/error.ts";
import type { ModelInfo } from "#shared/messages/model-info.ts";
import type { Catalogue, CatalogueModel } from "#shared/routing/catalogue.ts";
import { checkModels } from "./check-models.ts";
import type { ModelRules } from "./model-rules.ts";

const model = (name: string, claude: boolean, aliases: readonly string[] = []): CatalogueModel => ({
  name,
  aliases,
  claude,
  targets: [],
  prices: [],
  hasOwnPrice: false,
  refuses: new Set(),
  info: { id: name } as ModelInfo,
});
const models = [model("claude-opus-4-8", true, ["anthropic/claude-opus-4.8"]), model("other-1", false)];
const catalogue: Catalogue = {
  find: (asked) => models.find(({ name, aliases }) => name === asked || aliases.includes(asked)),
  list: () => models,
};

interface Asked {
  readonly model?: string;
  readonly otherModels?: readonly string[];
  readonly wishes?: readonly string[];
}

function check(asked: Asked, rules: Partial<ModelRules> = {}): CatalogueModel {
  const facts = {
    model: asked.model ?? "claude-opus-4-8",
    otherModels: [...(asked.otherModels ?? []), ...(asked.wishes ?? [])],
    wishes: asked.wishes ? { models: asked.wishes } : {},
  };
  return checkModels(facts, { catalogue, caller: { keyId: "key:a" }, claudeOnly: false, ...rules });
}

function refusal(asked: Asked, rules: Partial<ModelRules> = {}): GatewayError {
  try {
    check(asked, rules);
  } catch (reason) {
    if (reason instanceof GatewayError) return reason;
  }
  throw new Error("was not refused");
}

/** What is told when no name is near. */
const list = " (GET /v1/models lists what this key may use)";
const limited = { caller: { keyId: "key:a", models: ["other-*"] } };

test("a model is found by any of its names", () => {
  expect(check({ model: "anthropic/claude-opus-4.8" }).name).toBe("claude-opus-4-8");
});

describe("everywhere", () => {
  test("an unknown model is a 404 in Anthropic's words", () => {
    expect(refusal({ model: "gpt-9" })).toMatchObject({
      status: 404,
      type: "not_found_error",
      message: `model: gpt-9${list}`,
    });
  });

  test("a model this key may not use is a 403, by whatever name it is asked for", () => {
    expect(refusal({ model: "anthropic/claude-opus-4.8" }, limited)).toMatchObject({
      status: 403,
      type: "permission_error",
    });
  });
});

describe("under the Claude-only prefixes", () => {
  test("an unknown model is a 400", () => {
    expect(refusal({ model: "gpt-9" }, { claudeOnly: true })).toMatchObject({
      status: 400,
      message: `unknown model "gpt-9"${list}`,
    });
  });

  test("a known model that is not Claude is a 400", () => {
    expect(refusal({ model: "other-1" }, { claudeOnly: true })).toMatchObject({
      status: 400,
      message: 'model "other-1" is not available on this endpoint',
    });
  });
});

describe("a name near to one that may be used is told", () => {
  const near = (asked: string, rules: Partial<ModelRules> = {}): string => refusal({ model: asked }, rules).message;

  test("a misspelt name or alias, with the name that was asked", () => {
    expect(near("claude-opus-4.8")).toBe("model: claude-opus-4.8 (did you mean `claude-opus-4-8`?)");
    expect(near("Claude-Opsu-4-8")).toBe("model: Claude-Opsu-4-8 (did you mean `claude-opus-4-8`?)");
    expect(near("anthropic/claude-opsu-4.8")).toContain("(did you mean `anthropic/claude-opus-4.8`?)");
    expect(refusal({ wishes: ["othre-1"] }).message).toBe("model: othre-1 (did you mean `other-1`?)");
  });

  test("a model that the key may not use is not, by no name of it", () => {
    expect(near("claude-opus-4-9", limited)).toBe(`model: claude-opus-4-9${list}`);
    expect(near("anthropic/claude-opus-4.9", limited)).toBe(`model: anthropic/claude-opus-4.9${list}`);
    expect(near("other-2", limited)).toBe("model: other-2 (did you mean `other-1`?)");
  });

  test("under the Claude-only prefixes only Claude models are", () => {
    expect(near("claude-opus-4-9", { claudeOnly: true })).toBe(
      'unknown model "claude-opus-4-9" (did you mean `claude-opus-4-8`?)',
    );
    expect(near("other-2", { claudeOnly: true })).toBe(`unknown model "other-2"${list}`);
  });

  test("a name as long as a body is not compared", () => {
    expect(near(`claude-opus-4-8${"x".repeat(100)}`)).not.toContain("did you mean");
  });

  test("in a batch the same is guessed once, and only of the first names that are unknown", () => {
    let asked = 0;
    const counted: Catalogue = { ...catalogue, list: () => ((asked += 1), models) };
    const rules = { catalogue: counted, guesses: new Map<string, string>() };
    const messages = Array.from({ length: 100 }, (_, index) => near(`claude-opus-4-8${index % 50}`, rules));
    expect(asked).toBe(16);
    expect(messages.filter((message) => message.includes("did you mean"))).toHaveLength(32);
    expect(messages[0]).toBe(messages[50]);
  });

  test("a name that is found is not compared with others", () => {
    const list = (): never => {
      throw new Error("was asked for");
    };
    expect(check({}, { catalogue: { ...catalogue, list } }).name).toBe("claude-opus-4-8");
  });
});

describe("models named beside the first", () => {
  test("a fallback this key may not use is a 403", () => {
    expect(refusal({ model: "other-1", otherModels: ["claude-opus-4-8"] }, limited).status).toBe(403);
  });

  test("a fallback only the provider knows passes for a key without limits, and for no other", () => {
    expect(check({ otherModels: ["claude-next"] }).name).toBe("claude-opus-4-8");
    expect(refusal({ model: "other-1", otherModels: ["claude-next"] }, limited).status).toBe(403);
  });

  test("a wished model nobody knows is a 404: it is ours to find", () => {
    expect(refusal({ wishes: ["gpt-9"] })).toMatchObject({ status: 404, message: `model: gpt-9${list}` });
  });
});
