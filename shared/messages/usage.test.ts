import { expect, test } from "vitest";
import { mergeUsage, readUsage } from "./usage.ts";

const whole = {
  input_tokens: 12,
  cache_creation_input_tokens: 30,
  cache_read_input_tokens: 2048,
  cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
  output_tokens: 503,
  output_tokens_details: { thinking_tokens: 310 },
  server_tool_use: { web_search_requests: 1, web_fetch_requests: 0, odd: "x" },
  service_tier: "standard",
  speed: "fast",
  inference_geo: "us",
};

const read = {
  input_tokens: 12,
  cache_creation_input_tokens: 30,
  cache_read_input_tokens: 2048,
  output_tokens: 503,
  cache_creation_5m: 10,
  cache_creation_1h: 20,
  thinking_tokens: 310,
  service_tier: "standard",
  speed: "fast",
  inference_geo: "us",
  server_tool_use: { web_search_requests: 1 },
};

test("the counters of a whole answer are read", () => {
  expect(readUsage(whole)).toEqual(read);
});

test("nulls and nonsense count as nothing", () => {
  const zero = { input_tokens: 0, output_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const odd = {
    input_tokens: null,
    output_tokens: "5",
    cache_read_input_tokens: -1,
    cache_creation: 3,
    service_tier: 1,
  };
  expect(readUsage(odd)).toEqual(zero);
  expect(readUsage({})).toEqual(zero);
  expect(mergeUsage(undefined, undefined)).toEqual(zero);
});

test("what the price depends on may come with the last delta only", () => {
  const start = readUsage({ input_tokens: 1, speed: "standard" });
  const delta = { output_tokens: 2, speed: "fast", inference_geo: null, server_tool_use: { web_search_requests: 2 } };
  expect(mergeUsage(start, delta)).toMatchObject({ speed: "fast", server_tool_use: { web_search_requests: 2 } });
  expect(mergeUsage(start, delta)).not.toHaveProperty("inference_geo");
});

test("what is no object is no usage", () => {
  for (const value of [undefined, null, 5, "x", []]) expect(readUsage(value)).toBeUndefined();
});

test("a delta replaces what it gives and adds nothing up", () => {
  const delta = { output_tokens: 600, input_tokens: 40, cache_read_input_tokens: null };
  expect(mergeUsage(readUsage(whole), delta)).toEqual({ ...read, output_tokens: 600, input_tokens: 40 });
  expect(mergeUsage(readUsage(whole), null)).toEqual(read);
});

test("iterations are kept as they came", () => {
  const iterations = [{ type: "message", input_tokens: 1, output_tokens: 2 }];
  expect(mergeUsage(undefined, { output_tokens: 2, iterations }).iterations).toEqual(iterations);
});
