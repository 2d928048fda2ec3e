import { APIError, RateLimitError } from "openai";
import type { ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import { describe, expect, test } from "vitest";
import { useOpenaiOracle } from "../support/openai-oracle.ts";

const oracle = await useOpenaiOracle("chat");
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
const fn = { name: tool.name, description: tool.description, parameters: tool.input_schema };
const call = (id: string): object => ({ type: "tool_use", id, name: "weather", input: { city: id } });
const pdf = { type: "base64", media_type: "application/pdf", data: "JVBERi0=" };

type Params = Omit<ChatCompletionCreateParamsNonStreaming, "model" | "messages"> &
  Partial<Pick<ChatCompletionCreateParamsNonStreaming, "model" | "messages">>;

/** The same call in the API's words and in the vendor's own types. */
const pairs: readonly (readonly [string, object, Params])[] = [
  ["text", {}, {}],
  [
    "system, sampling and stops",
    { system: "be brief", temperature: 0.5, top_p: 0.9, stop_sequences: ["END"], model: "gpt-4.1" },
    {
      model: "gpt-4.1",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "hi" },
      ],
      temperature: 0.5,
      top_p: 0.9,
      stop: ["END"],
    },
  ],
  [
    "pictures and files",
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBO" } },
            { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
            { type: "document", source: pdf },
          ],
        },
      ],
    },
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,iVBO" } },
            { type: "image_url", image_url: { url: "https://example.com/a.png" } },
            { type: "file", file: { filename: "document.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } },
          ],
        },
      ],
    },
  ],
  [
    "tools, their choice and parallel results",
    {
      tools: [{ ...tool, strict: true }],
      tool_choice: { type: "tool", name: "weather", disable_parallel_tool_use: true },
      messages: [
        { role: "user", content: "weather?" },
        { role: "assistant", content: [{ type: "text", text: "well" }, call("a"), call("b")] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "a", content: "sun" },
            { type: "tool_result", tool_use_id: "b", content: [{ type: "text", text: "lost" }], is_error: true },
            { type: "text", text: "so?" },
          ],
        },
      ],
    },
    {
      tools: [{ type: "function", function: { ...fn, strict: true } }],
      tool_choice: { type: "function", function: { name: "weather" } },
      parallel_tool_calls: false,
      messages: [
        { role: "user", content: "weather?" },
        {
          role: "assistant",
          content: "well",
          tool_calls: ["a", "b"].map((id) => ({
            id,
            type: "function",
            function: { name: "weather", arguments: JSON.stringify({ city: id }) },
          })),
        },
        { role: "tool", tool_call_id: "a", content: "sun" },
        { role: "tool", tool_call_id: "b", content: "Error: lost" },
        { role: "user", content: "so?" },
      ],
    },
  ],
  [
    "structured output and effort",
    { output_config: { effort: "low", format: { type: "json_schema", schema: tool.input_schema } } },
    {
      reasoning_effort: "low",
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: tool.input_schema, strict: true },
      },
    },
  ],
];

describe("the request", () => {
  const defaults = { model: "gpt-5", max_completion_tokens: 500 };
  const hello = [{ role: "user" as const, content: "hi" }];

  test.each(pairs)("whole: %s", async (_, members, params) => {
    await oracle.vendor().chat.completions.create({ ...defaults, messages: hello, ...params });
    await oracle.send(oracle.encode(members));
    expectEqualRequests();
  });

  test.each(pairs)("streamed: %s", async (_, members, params) => {
    const streamed = { stream: true as const, stream_options: { include_usage: true } };
    const stream = await oracle
      .vendor()
      .chat.completions.create({ ...defaults, messages: hello, ...params, ...streamed });
    for await (const chunk of stream) expect(chunk.object).toBe("chat.completion.chunk");
    await oracle.send(oracle.encode({ ...members, stream: true }));
    expectEqualRequests();
  });
});

const prompts = {
  text: {},
  tools: { tools: [tool], tool_choice: { type: "any" } },
  reasoning: { model: "deepseek-v4", output_config: { effort: "high" } },
} as const;

describe("the simulator's answers", () => {
  const ask = { model: "gpt-5", messages: [{ role: "user" as const, content: "say it" }] };

  test("are read by the vendor's stream parser, and are the same whole", async () => {
    const stream = oracle.vendor().chat.completions.stream({ ...ask, stream_options: { include_usage: true } });
    const streamed = await stream.finalChatCompletion();
    const whole = await oracle.vendor().chat.completions.create(ask);
    expect(streamed.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(streamed.usage?.completion_tokens).toBe(whole.usage?.completion_tokens);
    expect(streamed.choices[0]?.finish_reason).toBe("stop");
  });

  test("call tools that the vendor's parser puts together", async () => {
    const tools = [{ type: "function" as const, function: { ...fn, strict: true } }];
    const stream = oracle.vendor().chat.completions.stream({ ...ask, tools, tool_choice: "required" });
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { tool_calls: [{ type: "function" }] } });
  });

  test("fail as the vendor's client knows it", async () => {
    const limited = { ...ask, messages: [{ role: "user" as const, content: "[sim:429 retry-after=3]" }] };
    await expect(oracle.vendor().chat.completions.create(limited)).rejects.toThrow(RateLimitError);
    const broken = { ...ask, messages: [{ role: "user" as const, content: "[sim:error-after=2 tokens=20]" }] };
    await expect(oracle.vendor().chat.completions.stream(broken).finalChatCompletion()).rejects.toThrow(APIError);
  });

  test.each(Object.entries(prompts))("decode to the same Message whole and streamed: %s", async (_, members) => {
    const message = await oracle.whole(members);
    const streamed = await oracle.streamed(members);
    const comparable = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value), (key, member: unknown) =>
        ["id", "cache_read_input_tokens", "input_tokens"].includes(key) ? "differs" : member,
      );
    expect(comparable(streamed)).toEqual(comparable(message));
    expect(message["content"]).not.toEqual([]);
  });
});
