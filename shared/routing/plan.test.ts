import type { CallHead } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { describe, expect, test } from "vitest";
import { sampleHead } from "../../test/support/store-bed.ts";
import { createCatalogue } from "./catalogue.ts";
import { makePlan, type Plan, type PlanInput } from "./plan.ts";

const route = (...providers: string[]): { provider: string; model: string }[] =>
  providers.map((provider) => ({ provider, model: `${provider}-id` }));
const catalogue = createCatalogue({
  providers: {},
  models: {
    main: { aliases: ["main-alias"], claude: false, routes: route("a", "b", "c") },
    spare: { aliases: [], claude: false, routes: route("d", "b") },
  },
});

const head = sampleHead("call_1", { keyId: "key:ci", model: "main", askedModel: "main" });

type Given = Partial<Omit<PlanInput, "head">> & { readonly head?: Partial<CallHead> };

function plan({ head: own, ...rest }: Given = {}): Plan {
  return makePlan({ catalogue, canHoldThreads: () => true, ...rest, head: { ...head, ...own } });
}

const providers = (given?: Given): string =>
  plan(given)
    .targets.map(({ provider }) => provider)
    .join(" ");

function failure(given: Given): GatewayError {
  try {
    plan(given);
  } catch (error) {
    if (error instanceof GatewayError) return error;
  }
  throw new Error("the plan was made");
}

const at = (provider: string): { provider: string; model: string } => ({ provider, model: `${provider}-id` });

test("without wishes the route decides", () => {
  expect(plan().targets).toEqual(["a", "b", "c"].map((provider) => ({ ...at(provider), catalogueModel: "main" })));
});

test("a model that is no longer in the catalogue is not found, by the caller's word", () => {
  const error = failure({ head: { model: "gone", askedModel: "Gone" } });
  expect([error.code, error.message]).toEqual(["not_found", "model: Gone"]);
});

describe("wishes", () => {
  test.each([
    ["named providers come first in their sequence", { order: ["c", "b"] }, "c b a"],
    ["unknown ones are passed over", { order: ["vertex", "b", "__proto__"] }, "b a c"],
    ["only allows these", { only: ["c", "a"] }, "a c"],
    ["only counts unknown ones as absent", { only: ["nobody", "b"] }, "b"],
    ["both", { order: ["c"], only: ["b", "c"] }, "c b"],
    ["further models are a chain behind the first", { models: ["spare"] }, "a b c d"],
    ["order holds for each model of the chain", { models: ["spare"], order: ["b"] }, "b a c d"],
    ["only holds for each model of the chain", { models: ["spare"], only: ["d"] }, "d"],
    ["a model in its own chain changes nothing", { models: ["main-alias", "main"] }, "a b c"],
  ])("%s", (_, wishes, expected) => {
    expect(providers({ head: { wishes } })).toBe(expected);
  });

  test("a fallback model's targets carry its name", () => {
    const { targets } = plan({ head: { wishes: { models: ["spare"] } } });
    expect(targets.at(-1)).toEqual({ ...at("d"), catalogueModel: "spare" });
  });

  test("an unknown fallback model is noted and passed over", () => {
    const { targets, notes } = plan({ head: { wishes: { models: ["nothing"] } } });
    expect(targets).toHaveLength(3);
    expect(notes).toEqual(["plan: a fallback model is unknown"]);
  });

  test("only that leaves nothing is the caller's mistake and named", () => {
    const error = failure({ head: { wishes: { only: ["vertex"] } } });
    expect(error.code).toBe("invalid_request");
    expect(error.message).toContain("providerOptions.gateway.only");
  });

  test("an empty only leaves nothing either", () => {
    expect(failure({ head: { wishes: { only: [] } } }).code).toBe("invalid_request");
  });
});

describe("affinity", () => {
  test("the target that has the cache comes first, the others stay in order", () => {
    expect(providers({ affinity: at("b") })).toBe("b a c");
  });

  test("a target that is not in the route any more is forgotten", () => {
    expect(providers({ affinity: at("z") })).toBe("a b c");
    expect(providers({ affinity: { provider: "b", model: "another" } })).toBe("a b c");
  });

  test("it does not go before the caller's order, but decides among the rest", () => {
    expect(providers({ affinity: at("c"), head: { wishes: { order: ["b"] } } })).toBe("b c a");
  });

  test("it does not go around only", () => {
    expect(providers({ affinity: at("a"), head: { wishes: { only: ["b", "c"] } } })).toBe("b c");
  });

  test("it does not bring a fallback model before the model that was asked for", () => {
    expect(providers({ affinity: at("d"), head: { wishes: { models: ["spare"] } } })).toBe("a b c d");
  });
});

describe("a thread that goes on", () => {
  const thread = { type: "continue", previousMessageId: "msg_1" } as const;

  test("it goes to the target that holds it, and nowhere else", () => {
    expect(providers({ head: { thread }, bound: at("b"), affinity: at("a") })).toBe("b");
  });

  test.each<[string, Given]>([
    ["nobody is known to hold it", {}],
    ["its target is not in the route any more", { bound: at("z") }],
    ["its provider's model has been changed", { bound: { provider: "b", model: "old" } }],
    ["its provider does not hold threads any more", { bound: at("b"), canHoldThreads: (provider) => provider !== "b" }],
    ["the caller rules its provider out", { bound: at("b"), head: { thread, wishes: { only: ["a"] } } }],
  ])("it is not found when %s", (_, given) => {
    const error = failure({ ...given, head: { thread, ...given.head } });
    expect([error.code, error.details]).toEqual(["not_found", { error_code: "thread_not_found" }]);
  });
});

describe("a thread to be made", () => {
  const thread = { type: "create" } as const;

  test("targets that cannot hold it are struck and noted", () => {
    const { targets, notes } = plan({ head: { thread }, canHoldThreads: (provider) => provider === "b" });
    expect(targets.map(({ provider }) => provider)).toEqual(["b"]);
    expect(notes).toEqual(["plan: a cannot hold threads", "plan: c cannot hold threads"]);
  });

  test("when none is left the client is told to go on without threads", () => {
    const error = failure({ head: { thread }, canHoldThreads: () => false });
    expect(error.code).toBe("invalid_request");
    expect(error.details).toEqual({ error_code: "thread_unsupported_request", unsupported: ["provider"] });
  });

  test("a container whose target cannot hold it counts as none left", () => {
    const given = { head: { thread, container: "container_1" }, bound: at("a") };
    expect(failure({ ...given, canHoldThreads: (provider) => provider !== "a" }).details).toMatchObject({
      error_code: "thread_unsupported_request",
    });
  });
});

describe("a container", () => {
  test("the call goes to the target that holds it, and nowhere else", () => {
    expect(providers({ head: { container: "container_1" }, bound: at("c") })).toBe("c");
  });

  test("an unknown one is the provider's to judge", () => {
    const { targets, notes } = plan({ head: { container: "container_1" } });
    expect(targets).toHaveLength(3);
    expect(notes).toEqual(["plan: the container is unknown"]);
  });
});
