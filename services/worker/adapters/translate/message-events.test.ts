import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Usage } from "#shared/messages/usage.ts";
import type { AnswerEnd } from "./answer-parts.ts";
import { createMessageEvents, type MessageEvents } from "./message-events.ts";
import { readStream } from "./stream-grammar.ts";

const usage: Usage = {
  input_tokens: 7,
  output_tokens: 3,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};
const end: AnswerEnd = { stopReason: "end_turn", usage };

function create(): MessageEvents {
  return createMessageEvents({ id: "msg_1", model: "m", usage, signature: "sluice:test" });
}

function contentOf(events: MessageEvents): unknown {
  events.finish(end);
  return readStream(events.take() ?? Buffer.alloc(0)).message?.["content"];
}

const tool = (id: string, input: unknown): object => ({
  type: "tool_use",
  id,
  name: "f",
  input,
  caller: { type: "direct" },
});

test("fragments of mixed tool calls become blocks one after another", () => {
  const events = create();
  events.toolStart({ key: 0, id: "a", name: "f" });
  events.toolStart({ key: 1, id: "b", name: "f" });
  for (const piece of ['{"x"', ":", "1}"]) {
    events.toolArgs(1, piece);
    events.toolArgs(0, piece);
  }
  expect(contentOf(events)).toEqual([tool("a", { x: 1 }), tool("b", { x: 1 })]);
});

test("a later call goes out as soon as the one before it is complete", () => {
  const events = create();
  events.toolStart({ key: 0, id: "a", name: "f" });
  events.toolArgs(0, '{"x":1}');
  events.toolStart({ key: 1, id: "b", name: "f" });
  events.toolArgs(1, '{"y"');
  expect(events.take()?.toString()).toContain('"partial_json":"{\\"y\\""');
});

test("what is separate is a block of its own, signed by itself", () => {
  const events = create();
  events.thinking("one");
  events.sign("s1");
  events.separate();
  events.thinking("two");
  events.separate();
  events.sign("s3");
  events.text("a");
  events.text("b");
  events.separate();
  events.text("c");
  expect(contentOf(events)).toEqual([
    { type: "thinking", thinking: "one", signature: "s1" },
    { type: "thinking", thinking: "two", signature: "sluice:test" },
    { type: "thinking", thinking: "", signature: "s3" },
    { type: "text", text: "ab", citations: null },
    { type: "text", text: "c", citations: null },
  ]);
});

test("a text of nothing but space makes no block", () => {
  const events = create();
  events.text("\n\n");
  events.thinking("hm");
  events.text(" ");
  events.text("so");
  expect(contentOf(events)).toEqual([
    { type: "thinking", thinking: "hm", signature: "sluice:test" },
    { type: "text", text: " so", citations: null },
  ]);
});

test("an empty object that the real arguments follow is forgotten", () => {
  const events = create();
  events.toolStart({ key: 0, id: "a", name: "f" });
  events.toolArgs(0, "{}");
  events.toolArgs(0, '{"x":1}');
  expect(contentOf(events)).toEqual([tool("a", { x: 1 })]);
});

test("a call without arguments has an empty object", () => {
  const events = create();
  events.toolStart({ key: 0, id: "a", name: "f" });
  events.toolStart({ key: 1, id: "b", name: "f" });
  events.toolArgs(1, "{}");
  expect(contentOf(events)).toEqual([tool("a", {}), tool("b", {})]);
});

test.each([
  ["tool_use", false],
  ["max_tokens", true],
] as const)("a call with half of its arguments at %s: ends well is %s", (stopReason, ends) => {
  const events = create();
  events.toolStart({ key: 0, id: "a", name: "f" });
  events.toolArgs(0, '{"x":"rm -r');
  events.finish({ ...end, stopReason });
  const { stopped, error } = readStream(events.take() ?? Buffer.alloc(0));
  expect({ stopped, failed: error !== undefined }).toEqual({ stopped: ends, failed: !ends });
});

test("reasoning can be signed, and a signature without reasoning makes an empty one", () => {
  const events = create();
  events.thinking("a");
  events.sign("sluice:test:1");
  events.text("b");
  events.sign("sluice:test:2");
  expect(contentOf(events)).toMatchObject([
    { type: "thinking", thinking: "a", signature: "sluice:test:1" },
    { type: "text", text: "b" },
    { type: "thinking", thinking: "", signature: "sluice:test:2" },
  ]);
});

test("nothing follows an error", () => {
  const events = create();
  events.text("a");
  events.fail({ type: "overloaded_error", message: "Overloaded" });
  events.text("b");
  events.finish(end);
  const read = readStream(events.take() ?? Buffer.alloc(0));
  expect(read).toMatchObject({ error: { type: "overloaded_error" }, stopped: false });
});

test("a failure before anything came is an error alone", () => {
  const events = create();
  events.fail({ type: "api_error", message: "m" });
  expect(readStream(events.take() ?? Buffer.alloc(0))).toEqual({
    error: { type: "api_error", message: "m" },
    stopped: false,
  });
});

const verb = fc.oneof(
  fc.record({ verb: fc.constant("text"), piece: fc.string({ maxLength: 4 }) }),
  fc.record({ verb: fc.constant("thinking"), piece: fc.string({ maxLength: 4 }) }),
  fc.record({ verb: fc.constant("sign"), piece: fc.string({ maxLength: 4 }) }),
  fc.record({ verb: fc.constant("start"), key: fc.nat(3), piece: fc.constant("f") }),
  fc.record({ verb: fc.constant("args"), key: fc.nat(3), piece: fc.constantFrom("{", "}", '"x":1', "{}", " ", "") }),
  fc.record({ verb: fc.constant("ping"), piece: fc.constant("") }),
  fc.record({ verb: fc.constant("separate"), piece: fc.constant("") }),
  fc.record({ verb: fc.constant("take"), piece: fc.constant("") }),
);

function play(events: MessageEvents, item: { verb: string; piece: string; key?: number }): void {
  const { verb, piece, key = 0 } = item;
  if (verb === "text") events.text(piece);
  else if (verb === "thinking") events.thinking(piece);
  else if (verb === "sign") events.sign(piece);
  else if (verb === "ping") events.ping();
  else if (verb === "separate") events.separate();
  else if (verb === "start") events.toolStart({ key, id: `t${key}`, name: "f" });
  else events.toolArgs(key, piece);
}

test("whatever comes in whatever order obeys the grammar, and no text is lost", () => {
  fc.assert(
    fc.property(fc.array(verb, { maxLength: 40 }), fc.boolean(), (verbs, fails) => {
      const events = create();
      const out: Buffer[] = [];
      let text = "";
      for (const item of verbs) {
        if (item.verb === "take") out.push(events.take() ?? Buffer.alloc(0));
        else play(events, item);
        if (item.verb === "text") text += item.piece;
      }
      if (fails) events.fail({ type: "api_error", message: "m" });
      events.finish(end);
      out.push(events.take() ?? Buffer.alloc(0));
      const read = readStream(Buffer.concat(out));
      expect(read.stopped).toBe(!fails);
      if (fails) return;
      const content = read.message?.["content"] as { type: string; text?: string }[];
      const shown = content.map((block) => block.text ?? "").join("");
      expect(shown.replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
    }),
  );
});
