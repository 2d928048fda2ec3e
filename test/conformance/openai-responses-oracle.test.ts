import { APIError, RateLimitError } from "openai";
import type { ResponseCreateParamsNonStreaming, ResponseInput } from "openai/resources/responses/responses";
import { describe, expect, test } from "vitest";
import { signThinking } from "../../services/simulator/answer/signature.ts";
import { reasoningSignature } from "../../services/worker/adapters/openai-responses/reasoning-signature.ts";
import { responsesWire } from "../../services/worker/adapters/openai-responses/wire.ts";
import { useOpenaiOracle } from "../support/openai-oracle.ts";

const oracle = await useOpenaiOracle("responses");
const { expectEqualRequests } = oracle;

const tool = {
  name: "weather",
  description: "Tells the weather.",
  input_schema: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};
const fn = {
  type: "function" as const,
  name: tool.name,
  description: tool.description,
  parameters: tool.input_schema,
};
const call = (id: string): object => ({ type: "tool_use", id, name: "weather", input: { city: id } });
const wireCall = (id: string): ResponseInput[number] => ({
  type: "function_call",
  call_id: id,
  name: "weather",
  arguments: JSON.stringify({ city: id }),
});
const user = (content: unknown): object => ({ role: "user", content });
const pdf = { type: "base64", media_type: "application/pdf", data: "JVBERi0=" };
const png = { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBO" } };
const encrypted = signThinking("hm");
const signature = (): string =>
  reasoningSignature({ account: responsesWire(oracle.config).account, id: "rs_1", encrypted });

type Pair = readonly [string, () => object, ResponseCreateParamsNonStreaming];

/** The same call in the API's words and in the vendor's own types. */
const pairs: readonly Pair[] = [
  ["text", () => ({}), {}],
  [
    "system words and sampling",
    () => ({
      system: "be brief",
      temperature: 0.5,
      top_p: 0.9,
      model: "gpt-4.1",
      messages: [user("hi"), { role: "system", content: "now" }],
    }),
    {
      model: "gpt-4.1",
      instructions: "be brief",
      input: [
        { role: "user", content: "hi" },
        { role: "developer", content: "now" },
      ],
      temperature: 0.5,
      top_p: 0.9,
    },
  ],
  [
    "pictures and files",
    () => ({
      messages: [
        user([
          { type: "text", text: "look" },
          png,
          { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
          { type: "document", source: pdf },
          { type: "document", source: { type: "url", url: "https://example.com/a.pdf" } },
        ]),
      ],
    }),
    {
      input: [
        {
          role: "user",
          content: [
            { type: "input_text", text: "look" },
            { type: "input_image", image_url: "data:image/png;base64,iVBO", detail: "auto" },
            { type: "input_image", image_url: "https://example.com/a.png", detail: "auto" },
            { type: "input_file", filename: "document.pdf", file_data: "data:application/pdf;base64,JVBERi0=" },
            { type: "input_file", file_url: "https://example.com/a.pdf" },
          ],
        },
      ],
    },
  ],
  [
    "tools, their choice, parallel results and reasoning",
    () => ({
      tools: [{ ...tool, strict: true }],
      tool_choice: { type: "auto", disable_parallel_tool_use: true },
      thinking: { type: "adaptive" },
      messages: [
        user("weather?"),
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: signature() },
            { type: "text", text: "well" },
            call("a"),
            call("b"),
          ],
        },
        user([
          { type: "tool_result", tool_use_id: "a", content: [{ type: "text", text: "sun" }, png] },
          { type: "tool_result", tool_use_id: "b", content: [{ type: "text", text: "lost" }], is_error: true },
          { type: "text", text: "so?" },
        ]),
      ],
    }),
    {
      tools: [{ ...fn, strict: true }],
      tool_choice: "auto",
      parallel_tool_calls: false,
      reasoning: { effort: "medium", summary: "auto" },
      include: ["reasoning.encrypted_content"],
      input: [
        { role: "user", content: "weather?" },
        {
          type: "reasoning",
          id: "rs_1",
          summary: [{ type: "summary_text", text: "hm" }],
          encrypted_content: encrypted,
        },
        { role: "assistant", content: "well" },
        wireCall("a"),
        wireCall("b"),
        {
          type: "function_call_output",
          call_id: "a",
          output: [
            { type: "input_text", text: "sun" },
            { type: "input_image", image_url: "data:image/png;base64,iVBO", detail: "auto" },
          ],
        },
        { type: "function_call_output", call_id: "b", output: "Error: lost" },
        { role: "user", content: "so?" },
      ],
    },
  ],
  [
    "a forced tool",
    () => ({ tools: [tool], tool_choice: { type: "tool", name: "weather" } }),
    { tools: [{ ...fn, strict: false }], tool_choice: { type: "function", name: "weather" } },
  ],
  [
    "structured output and effort",
    () => ({ output_config: { effort: "low", format: { type: "json_schema", schema: tool.input_schema } } }),
    {
      reasoning: { effort: "low" },
      text: { format: { type: "json_schema", name: "answer", schema: tool.input_schema, strict: true } },
    },
  ],
];

describe("the request", () => {
  const hello: ResponseInput = [{ role: "user", content: "hi" }];
  const defaults = { model: "gpt-5", input: hello };
  const kept = { max_output_tokens: 500, store: false };

  test.each(pairs)("whole: %s", async (_, members, params) => {
    const answer = await oracle.vendor().responses.create({ ...defaults, ...kept, ...params });
    expect(answer.status).toBe("completed");
    await oracle.send(oracle.encode(members()));
    expectEqualRequests();
  });

  test.each(pairs)("streamed: %s", async (_, members, params) => {
    const events = await oracle.vendor().responses.create({ ...defaults, ...kept, ...params, stream: true });
    for await (const { type } of events) expect(type).toMatch(/^response\./);
    await oracle.send(oracle.encode({ ...members(), stream: true }));
    expectEqualRequests();
  });

  test.each(pairs)("a count: %s", async (_, members, params) => {
    // What the model does not read says nothing there.
    const { temperature: _temperature, top_p: _topP, include: _include, truncation: _truncation, ...read } = params;
    const theirs = await oracle.vendor().responses.inputTokens.count({ ...defaults, ...read });
    expect(await oracle.whole(members(), "count_tokens")).toEqual({ input_tokens: theirs.input_tokens });
    expectEqualRequests();
  });
});

const thinks = { thinking: { type: "adaptive" } };
const prompts = {
  text: {},
  tools: { tools: [tool], tool_choice: { type: "any" } },
  "reasoning, shown": thinks,
  "reasoning, not shown": { thinking: { type: "adaptive", display: "omitted" }, tools: [tool] },
  "reasoning nobody asked for": { output_config: { effort: "high" } },
} as const;

describe("the simulator's answers", () => {
  const ask = { model: "gpt-5", input: "say it", store: false };
  const reasoning = { effort: "low", summary: "auto" } as const;

  test("are read by the vendor's stream parser, and are the same whole", async () => {
    const streamed = await oracle
      .vendor()
      .responses.stream({ ...ask, reasoning })
      .finalResponse();
    const whole = await oracle.vendor().responses.create({ ...ask, reasoning });
    expect(streamed.status).toBe("completed");
    expect(streamed.output_text).toBe(whole.output_text);
    expect(streamed.output_text).toContain("say it");
    expect(streamed.output.map(({ type }) => type)).toEqual(["reasoning", "message"]);
    expect(streamed.usage?.output_tokens).toBe(whole.usage?.output_tokens);
  });

  test("call tools that the vendor's parser puts together", async () => {
    const tools = [{ ...fn, strict: true }];
    const stream = oracle.vendor().responses.stream({ ...ask, tools, tool_choice: "required" });
    const { output } = await stream.finalResponse();
    expect(output).toMatchObject([{ type: "function_call", name: "weather", status: "completed" }]);
  });

  test("are cut short as the vendor's are", async () => {
    const answer = await oracle.vendor().responses.create({ ...ask, input: "[sim:tokens=50]", max_output_tokens: 16 });
    expect(answer).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } });
  });

  test("fail as the vendor's client knows it", async () => {
    const { responses } = oracle.vendor();
    await expect(responses.create({ ...ask, input: "[sim:429 retry-after=3]" })).rejects.toThrow(RateLimitError);
    await expect(responses.create({ ...ask, max_output_tokens: 15 })).rejects.toThrow(/minimum value/);
    await expect(responses.inputTokens.count({ model: "gpt-5", input: "[sim:500]" })).rejects.toThrow(APIError);
    const failed = await responses.stream({ ...ask, input: "[sim:error-after=2 tokens=20]" }).finalResponse();
    expect(failed).toMatchObject({ status: "failed", error: { code: "server_error" } });
    const events = await responses.create({ ...ask, input: "[sim:error-before-content]", stream: true });
    const types: string[] = [];
    for await (const { type } of events) types.push(type);
    expect(types).toEqual(["response.created", "error"]);
  });

  test.each([
    ["half of what it gave", { type: "reasoning" as const, id: "rs_1", summary: [] }, /not found/],
    [
      "what it did not say",
      {
        type: "reasoning" as const,
        id: "rs_1",
        summary: [{ type: "summary_text" as const, text: "else" }],
        encrypted_content: encrypted,
      },
      /could not be verified/,
    ],
    ["a call without its result", wireCall("a"), /No tool output found/],
  ])("refuse %s", async (_, item, message) => {
    const input: ResponseInput = [{ role: "user", content: "hi" }, item, { role: "assistant", content: "ho" }];
    await expect(oracle.vendor().responses.create({ ...ask, input })).rejects.toThrow(message);
  });

  test.each(Object.entries(prompts))("decode to the same Message whole and streamed: %s", async (_, members) => {
    const message = await oracle.whole(members);
    const streamed = await oracle.streamed(members);
    const comparable = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value), (key, member: unknown) =>
        ["id", "signature", "cache_read_input_tokens", "input_tokens"].includes(key) ? "differs" : member,
      );
    expect(comparable(streamed)).toEqual(comparable(message));
    expect(message["content"]).not.toEqual([]);
  });

  test.each([
    ["shown", thinks],
    ["not shown", prompts["reasoning, not shown"]],
  ])("take the reasoning back that they gave, %s", async (_, members) => {
    for (const answer of [await oracle.whole(members), await oracle.streamed(members)]) {
      const content = answer?.["content"] as readonly { readonly type: string; readonly id: string }[];
      expect(content[0]).toMatchObject({ type: "thinking", signature: expect.any(String) as string });
      const results = content
        .filter(({ type }) => type === "tool_use")
        .map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "sun" }));
      const asked = user([...results, { type: "text", text: "and?" }]);
      const messages = [user("hi"), { role: "assistant", content }, asked];
      const { input } = JSON.parse(String(oracle.encode({ ...members, messages }).body[0])) as { input: unknown[] };
      expect(input[1]).toMatchObject({ type: "reasoning", encrypted_content: expect.any(String) as string });
      expect(await oracle.whole({ ...members, messages })).toMatchObject({ type: "message" });
    }
  });
});
