import { describe, expect, test } from "vitest";
import { readBody, spliceBody } from "./body.ts";
import type { Operation } from "./call.ts";
import { GatewayError } from "./error.ts";

const minimal = { model: "claude-opus-4-8", max_tokens: 10, messages: [] };

function read(body: unknown, operation: Operation = "messages"): ReturnType<typeof readBody> {
  return readBody(Buffer.from(typeof body === "string" ? body : JSON.stringify(body)), operation);
}

/** What the caller is told. */
function refusal(body: unknown, operation: Operation = "messages"): string {
  try {
    read(body, operation);
  } catch (reason) {
    if (reason instanceof GatewayError && reason.code === "invalid_request") return reason.message;
    throw reason;
  }
  return "accepted";
}

describe("a body is read", () => {
  test("with nothing but what is required", () => {
    const facts = read(minimal);
    expect(facts).toEqual({
      model: "claude-opus-4-8",
      stream: false,
      maxTokens: 10,
      splices: { model: { start: 9, end: 26 } },
      wishes: {},
      otherModels: [],
    });
  });

  test("with all that the gateway decides on", () => {
    const facts = read({
      ...minimal,
      stream: true,
      max_tokens: 0,
      system: "Be brief.",
      fallbacks: [{ model: "a", max_tokens: 3 }, { model: "b" }],
      tools: [
        { name: "x", input_schema: {} },
        { type: "advisor_20260301", name: "advisor", model: "c" },
      ],
      thread: { type: "continue", previous_message_id: "msg_1" },
      container: { id: "container_1", skills: [] },
      providerOptions: { gateway: { order: ["p"], only: ["p", "q"], models: ["a", "d"], sort: "cost" }, other: 1 },
      metadata: { user_id: "u" },
    });
    expect(facts).toMatchObject({
      stream: true,
      maxTokens: 0,
      wishes: { order: ["p"], only: ["p", "q"], models: ["a", "d"] },
      thread: { type: "continue", previousMessageId: "msg_1" },
      container: "container_1",
      otherModels: ["a", "b", "c", "d"],
    });
  });

  test("with null where a member may be left out", () => {
    const absent = { stream: null, fallbacks: null, thread: null, container: null, providerOptions: null };
    expect(read({ ...minimal, ...absent })).toMatchObject({ stream: false, wishes: {}, otherModels: [] });
    const options = { gateway: { order: null } };
    expect(read({ ...minimal, container: { id: null }, providerOptions: options }).container).toBeUndefined();
    expect(read({ ...minimal, providerOptions: { gateway: null } }).wishes).toEqual({});
    expect(read({ ...minimal, providerOptions: { gateway: { caching: "auto" } } }).caching).toBe("auto");
    for (const caching of [null, "never", true, ["auto"]])
      expect(read({ ...minimal, providerOptions: { gateway: { caching } } })).not.toHaveProperty("caching");
  });

  test("with members, blocks and types that nobody knows yet", () => {
    expect(refusal({ ...minimal, future: { a: [1e5] }, tools: [{ type: "new_tool", x: 1 }, 5] })).toBe("accepted");
    expect(refusal({ ...minimal, messages: [{ role: "oracle", content: 7 }], system: 3 })).toBe("accepted");
  });

  test("as a count, which needs no max_tokens and never streams", () => {
    const facts = read({ model: "m", messages: [], stream: true }, "count_tokens");
    expect(facts).toMatchObject({ model: "m", stream: false });
    expect(facts.maxTokens).toBeUndefined();
  });

  test("with the string `default` for fallbacks and a string for container", () => {
    expect(read({ ...minimal, fallbacks: "default", container: "c" })).toMatchObject({
      otherModels: [],
      container: "c",
    });
    expect(read({ ...minimal, thread: { type: "create" } }).thread).toEqual({ type: "create" });
  });

  test("with lone surrogates in other strings, and whole numbers written otherwise", () => {
    expect(refusal('{"model":"m","max_tokens":1.0e2,"messages":["\\ud800"],"\\udfff":1}')).toBe("accepted");
    expect(read('{"model":"m","max_tokens":1.0e2,"messages":[]}').maxTokens).toBe(100);
  });
});

describe("a body is refused, naming the member:", () => {
  const list = Array.from({ length: 101 }, () => ({ model: "m" }));
  test.each([
    ["", "The request body is empty."],
    ["[]", "The request body should be a JSON object."],
    ["[", "The request body is not valid JSON: it ends too early, at byte 1."],
    ['{"model":"m"} x', "The request body is not valid JSON: unexpected character at byte 14."],
    ["[1] x", "The request body is not valid JSON: unexpected character at byte 4."],
    [`{"a":${"[".repeat(1001)}`, "The request body is nested deeper than 1000 levels at byte 1004."],
    [{ max_tokens: 1, messages: [] }, "model: Field required"],
    [{ ...minimal, model: 5 }, "model: Input should be a valid string"],
    [{ ...minimal, model: "" }, "model: String should have at least 1 character"],
    [{ ...minimal, model: "m".repeat(257) }, "model: String should have at most 256 characters"],
    [{ ...minimal, model: "m".repeat(5000) }, "model: String should have at most 256 characters"],
    [{ ...minimal, model: "\ud800" }, "model: String should be valid Unicode"],
    ['{"Model":"m","max_tokens":1,"messages":[]}', "model: Field required"],
    [{ model: "m", max_tokens: 1 }, "messages: Field required"],
    [{ ...minimal, messages: {} }, "messages: Input should be a valid list"],
    [{ ...minimal, messages: null }, "messages: Input should be a valid list"],
    [{ model: "m", messages: [] }, "max_tokens: Field required"],
    [{ ...minimal, max_tokens: null }, "max_tokens: Input should be a valid integer"],
    [{ ...minimal, max_tokens: "10" }, "max_tokens: Input should be a valid integer"],
    [{ ...minimal, max_tokens: 1.5 }, "max_tokens: Input should be a valid integer"],
    [{ ...minimal, max_tokens: -1 }, "max_tokens: Input should be greater than or equal to 0"],
    ['{"model":"m","max_tokens":1e999,"messages":[]}', "max_tokens: Input should be a valid integer"],
    [`{"model":"m","max_tokens":${"9".repeat(100)},"messages":[]}`, "max_tokens: Input should be a valid integer"],
    [{ ...minimal, stream: "true" }, "stream: Input should be a valid boolean"],
    [{ ...minimal, stream: 1 }, "stream: Input should be a valid boolean"],
    [{ ...minimal, thread: "create" }, "thread: Input should be a valid dictionary"],
    [{ ...minimal, thread: {} }, "thread.type: Field required"],
    [{ ...minimal, thread: { type: "fork" } }, "thread.type: Input should be 'create' or 'continue'"],
    [{ ...minimal, thread: { type: "continue" } }, "thread.previous_message_id: Field required"],
    [{ ...minimal, container: 5 }, "container: Input should be a valid dictionary"],
    [{ ...minimal, container: { id: 5 } }, "container.id: Input should be a valid string"],
    [{ ...minimal, fallbacks: "none" }, "fallbacks: Input should be 'default' or a valid list"],
    [{ ...minimal, fallbacks: ["m"] }, "fallbacks.0: Input should be a valid dictionary"],
    [{ ...minimal, fallbacks: [{ model: "m" }, {}] }, "fallbacks.1.model: Field required"],
    [{ ...minimal, fallbacks: list }, "fallbacks: List should have at most 100 items"],
    [{ ...minimal, tools: [{ type: "advisor_1", model: 5 }] }, "tools.0.model: Input should be a valid string"],
    [{ ...minimal, providerOptions: [] }, "providerOptions: Input should be a valid dictionary"],
    [{ ...minimal, providerOptions: { gateway: 1 } }, "providerOptions.gateway: Input should be a valid dictionary"],
    [
      { ...minimal, providerOptions: { gateway: { only: "p" } } },
      "providerOptions.gateway.only: Input should be a valid list",
    ],
    [
      { ...minimal, providerOptions: { gateway: { models: ["m", 1] } } },
      "providerOptions.gateway.models.1: Input should be a valid string",
    ],
  ])("%j", (body, message) => {
    expect(refusal(body)).toBe(message);
  });

  test("bytes that are no UTF-8", () => {
    const bytes = Buffer.from('{"model":"é"}', "latin1");
    expect(() => readBody(bytes, "messages")).toThrow("The request body is not valid UTF-8.");
  });
});

describe("a doubled member is refused", () => {
  const rest = '"max_tokens":1,"messages":[]';
  test.each([
    [`{"model":"a","model":"b",${rest}}`, "model"],
    [`{"model":"a",${rest},"mod\\u0065l":"b"}`, "model"],
    [`{"Model":"a","model":"b",${rest}}`, "model"],
    [`{"model":"a",${rest},"Stream":true,"stream":false}`, "stream"],
    [`{"model":"a",${rest},"system":"","system":""}`, "system"],
    [`{"model":"a",${rest},"tools":[],"tools":[]}`, "tools"],
    [`{"model":"a",${rest},"provideroptions":{},"providerOptions":{}}`, "providerOptions"],
    [`{"model":"a",${rest},"fallbacks":[{"model":"a","model":"b"}]}`, "fallbacks.0.model"],
    [`{"model":"a",${rest},"thread":{"type":"create","Type":"continue"}}`, "thread.type"],
    [`{"model":"a",${rest},"tools":[{"type":"custom","type":"advisor_1","model":"b"}]}`, "tools.0.type"],
    [`{"model":"a",${rest},"tools":[{"type":"advisor_1","model":"b","\\u006dodel":"c"}]}`, "tools.0.model"],
    [
      `{"model":"a",${rest},"providerOptions":{"gateway":{"models":[],"models":["b"]}}}`,
      "providerOptions.gateway.models",
    ],
  ])("%s", (body, path) => {
    expect(refusal(body)).toBe(`${path}: Member appears more than once, perhaps in another letter case`);
  });

  test("only where the gateway decides by it", () => {
    const schema = '{"type":"object","type":"object","properties":{"model":{},"model":{}}}';
    expect(refusal(`{"model":"a",${rest},"x":1,"x":2,"tools":[{"name":"t","input_schema":${schema}}]}`)).toBe(
      "accepted",
    );
  });
});

test("an advisor is seen through an escaped type", () => {
  const tools = '[{"type":"\\u0061dvisor_20260301","model":"hidden"}]';
  expect(read(`{"model":"a","max_tokens":1,"messages":[],"tools":${tools}}`).otherModels).toEqual(["hidden"]);
});

describe("splicing", () => {
  const splice = (text: string, splices: Parameters<typeof spliceBody>[2]): string => {
    const bytes = Buffer.from(text);
    return Buffer.concat(spliceBody(bytes, readBody(bytes, "count_tokens").splices, splices)).toString();
  };

  test("changes nothing but the members' bytes", () => {
    const text = '{ "model" : "a" , "messages":[ "a" ],"stream":false, "x" : 1.0 }';
    expect(splice(text, { model: 'b"é', stream: true })).toBe(
      '{ "model" : "b\\"é" , "messages":[ "a" ],"stream":true, "x" : 1.0 }',
    );
  });

  test("gives the same buffer back when nothing changes", () => {
    const bytes = Buffer.from('{"model":"a","messages":[],"stream":true}');
    const ranges = readBody(bytes, "count_tokens").splices;
    for (const splices of [{}, { model: "a", stream: true }, { providerOptions: "remove" as const }]) {
      const pieces = spliceBody(bytes, ranges, splices);
      expect(pieces).toHaveLength(1);
      expect(pieces[0]).toBe(bytes);
    }
  });

  test("copies nothing of the body", () => {
    const bytes = Buffer.from('{"model":"a","messages":[]}');
    const pieces = spliceBody(bytes, readBody(bytes, "count_tokens").splices, { model: "b" });
    expect(pieces.map(String)).toEqual(['{"model":', '"b"', ',"messages":[]}']);
    expect(pieces[2]!.buffer).toBe(bytes.buffer);
  });

  test.each([
    ['{"providerOptions":{}, "model":"a","messages":[]}', '{ "model":"a","messages":[]}'],
    ['{"model":"a", "providerOptions" : {"x":[1]} , "messages":[]}', '{"model":"a",  "messages":[]}'],
    ['{"model":"a","messages":[] , "providerOptions":null }', '{"model":"a","messages":[]  }'],
  ])("takes providerOptions out of %s", (text, expected) => {
    expect(splice(text, { providerOptions: "remove" })).toBe(expected);
  });

  test("takes providerOptions out where it is the only member", () => {
    const bytes = Buffer.from('{ "providerOptions": 1 }');
    const ranges = { model: { start: 0, end: 0 }, providerOptions: { start: 2, end: 22 } };
    expect(Buffer.concat(spliceBody(bytes, ranges, { providerOptions: "remove" })).toString()).toBe("{  }");
  });

  test("adds a stream that is not there, and leaves out one that is false anyway", () => {
    expect(splice('{"messages":[],"model":"a"}', { stream: true })).toBe('{"messages":[],"model":"a","stream":true}');
    expect(splice('{"model":"a","messages":[]}', { stream: false })).toBe('{"model":"a","messages":[]}');
  });

  test("does what parsing, changing and printing would do, for 2,000 bodies of shuffled members and whitespace", () => {
    const random = createRandom(7);
    const members = ["model", "stream", "messages", "providerOptions", "max_tokens", "é", "system", "metadata"];
    const values = ['"a"', "true", '[{"role":"user"}]', '{"gateway":{"only":["p"]}}', "5", '"\\"}"', "[ ]", "{ }"];
    const space = (): string => [" ", "\n", "\t", "", "", ""][random(6)]!;
    for (let round = 0; round < 2000; round += 1) {
      const written = members
        .map((name, index) => ({ name, value: values[index]!, order: random(1000) }))
        .filter(({ name }) => name === "model" || name === "messages" || random(3) > 0)
        .toSorted((a, b) => a.order - b.order)
        .map(({ name, value }) => `${space()}"${name}"${space()}:${space()}${value}${space()}`);
      const text = `${space()}{${written.join(",")}}${space()}`;
      const expected = JSON.parse(text) as Record<string, unknown>;
      expected["model"] = "new";
      if ("stream" in expected) expected["stream"] = false;
      delete expected["providerOptions"];
      expect(JSON.parse(splice(text, { model: "new", stream: false, providerOptions: "remove" }))).toEqual(expected);
    }
  });
});

function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
