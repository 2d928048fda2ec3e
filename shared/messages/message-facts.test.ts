import { expect, test } from "vitest";
import { readMessageFacts } from "./message-facts.ts";

function factsOf(body: unknown): ReturnType<typeof readMessageFacts> {
  return readMessageFacts(Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));
}

test("a message tells its id, usage and container", () => {
  const usage = { input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const message = { id: "msg_1", type: "message", content: [], container: { id: "container_1" }, usage };
  expect(factsOf(message)).toEqual({ id: "msg_1", type: "message", usage, containerId: "container_1" });
});

test("what is not there is left out", () => {
  expect(factsOf({ type: "error", error: {} })).toEqual({ type: "error" });
  expect(factsOf({ id: 5, usage: null, container: null })).toEqual({});
  expect(factsOf({ container: { id: 5 } })).toEqual({});
});

test("bytes that are no JSON object tell nothing", () => {
  for (const text of ["", "<html>", "[]", "5", "null", '{"id":"msg_1"']) expect(factsOf(text)).toEqual({});
});
