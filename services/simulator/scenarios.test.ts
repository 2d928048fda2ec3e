import { expect, test } from "vitest";

import { createScenarios, plainModel, withoutMarkers } from "./scenarios.ts";

const call = (
  text: string,
  apiKey = "sim-1",
  model = "claude-opus-4-8",
): Parameters<ReturnType<typeof createScenarios>["pick"]>[0] => ({
  text,
  apiKey,
  model,
});

test("a marker's words become a scenario, and several markers add up", () => {
  const scenario = createScenarios().pick(
    call(
      'hello [sim: 429 retry-after=2 message="come back" code=ramp_limit_exceeded] there [sim: slow-first-byte=1.5s]',
    ),
  );
  expect(scenario).toEqual({
    status: 429,
    retryAfter: "2",
    errorMessage: "come back",
    errorCode: "ramp_limit_exceeded",
    firstByteMs: 1500,
  });
});

test("a text without markers, and brackets that are none, ask for nothing", () => {
  const scenarios = createScenarios();
  expect(scenarios.pick(call("plain [simple] [sim]"))).toEqual({});
  expect(scenarios.pick(call(""))).toEqual({});
});

test("an error type stands for itself beside a fault inside a stream", () => {
  expect(createScenarios().pick(call("[sim: error-after=3 overloaded_error]"))).toEqual({
    errorAfter: 3,
    errorType: "overloaded_error",
  });
});

test("reset alone breaks the connection, with a time it is a rate limit's end", () => {
  const scenarios = createScenarios();
  expect(scenarios.pick(call("[sim: reset]"))).toEqual({ reset: true });
  expect(scenarios.pick(call("[sim: 429 reset=30s]"))).toEqual({ status: 429, resetMs: 30_000 });
});

test("on= limits a marker to one simulated provider, by number, by name or by key", () => {
  const scenarios = createScenarios();
  const hit = (on: string, key: string): boolean => scenarios.pick(call(`[sim: 529 on=${on}]`, key)).status === 529;
  expect([hit("1", "sim-1"), hit("1", "sim-2")]).toEqual([true, false]);
  expect([hit("simulator", "sim-1"), hit("simulator", "sim-2")]).toEqual([true, false]);
  expect([hit("simulator-2", "sim-1"), hit("simulator-2", "sim-2")]).toEqual([false, true]);
  expect([hit("my-key", "my-key"), hit("my-key", "sim-1")]).toEqual([true, false]);
});

test("times= counts the calls with one prompt, over all providers", () => {
  const scenarios = createScenarios();
  const status = (text: string, key: string): number | undefined => scenarios.pick(call(text, key)).status;
  expect([status("a [sim: 500 times=2]", "sim-1"), status("a [sim: 500 times=2]", "sim-2")]).toEqual([500, 500]);
  expect(status("a [sim: 500 times=2]", "sim-1")).toBeUndefined();
  expect(status("b [sim: 500 times=2]", "sim-1")).toBe(500);
});

test("the model's suffix says the same, with commas", () => {
  const scenario = createScenarios().pick(call("hello", "sim-1", "claude-opus-4-8@sim:529,retry-after=1"));
  expect(scenario).toEqual({ status: 529, retryAfter: "1" });
  expect(plainModel("claude-opus-4-8@sim:529,retry-after=1")).toBe("claude-opus-4-8");
});

test.each([
  ["[sim: bogus]", 'unknown word "bogus"'],
  ["[sim: constructor]", 'unknown word "constructor"'],
  ["[sim: tokens=many]", 'tokens: "many" is not a whole number'],
  ["[sim: slow-first-byte=soon]", 'slow-first-byte: "soon" is not a duration'],
  ["[sim: retry-after]", "retry-after: the word needs a value"],
])("%s is told: %s", (text, message) => {
  expect(() => createScenarios().pick(call(text))).toThrow(message);
});

test("markers are left out of what is repeated", () => {
  expect(withoutMarkers("hello [sim: 500] there")).toBe("hello there");
  expect(withoutMarkers("[sim: 500]")).toBe("");
});
