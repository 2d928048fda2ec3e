import { randomUUID } from "node:crypto";

import { expect, test } from "vitest";
import { useSimulator } from "../support/use-simulator.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// What Claude Code 2.1 sends and how it takes what comes back: its headers, its bodies, its ways of trying again.

const simulator = await useSimulator();
const upstream = await useUpstream();
const stack = await useStack({
  upstreams: [simulator, upstream],
  config: { models: { "claude-opus-5-5": { routes: ["one"] }, "claude-haiku-5-5": { routes: ["two"] } } },
});

const session = randomUUID();
const betas =
  "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,effort-2025-11-24,mid-conversation-tool-changes-2026-07-01,per-turn-control-2026-07-01";

/** One turn as the program sends it. */
function turn(text: string, more: object = {}): Record<string, unknown> {
  return {
    model: "claude-opus-5-5",
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "<system-reminder>\nThe date is 2026-11-21.\n</system-reminder>" },
          { type: "text", text, cache_control: { type: "ephemeral" } },
        ],
      },
      { role: "system", content: [{ type: "text", text: "Mind the rules." }], output_config: { effort: "medium" } },
    ],
    system: [
      {
        type: "text",
        text: `x-anthropic-billing-header: cc_version=2.1.330.${randomUUID().slice(0, 3)}; cc_entrypoint=sdk-cli;`,
      },
      { type: "text", text: "You are Claude Code.", cache_control: { type: "ephemeral" } },
      { type: "text", text: "long ".repeat(8000), cache_control: { type: "ephemeral" } },
    ],
    tools: Array.from({ length: 12 }, (_, index) => ({
      name: ["Task", "Bash", "Read", "Write"][index] ?? `Tool${index}`,
      description: "Does something.",
      input_schema: {
        $schema: "http://json-schema.org/draft-07/schema#",
        type: "object",
        properties: { command: { type: "string" }, timeout: { type: "number" } },
        required: ["command"],
        additionalProperties: false,
      },
    })),
    metadata: { user_id: JSON.stringify({ device_id: "d", account_uuid: "", session_id: session }) },
    max_tokens: 64_000,
    thinking: { type: "adaptive", display: "omitted" },
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    output_config: { effort: "medium" },
    stream: true,
    ...more,
  };
}

async function send(body: object, more: Record<string, string> = {}, path = "/v1/messages"): Promise<Response> {
  return fetch(`${stack.url}${path}?beta=true`, {
    method: "POST",
    headers: {
      accept: "application/json",
      authorization: `Bearer ${stack.key}`,
      "content-type": "application/json",
      "user-agent": "claude-cli/2.1.330 (external, sdk-cli)",
      "anthropic-version": "2023-06-01",
      "anthropic-beta": betas,
      "anthropic-dangerous-direct-browser-access": "true",
      "x-app": "cli",
      "x-claude-code-session-id": session,
      "x-stainless-retry-count": "0",
      "x-stainless-timeout": "600",
      ...more,
    },
    body: JSON.stringify(body),
  });
}

interface StreamEvent {
  readonly type: string;
  readonly message?: { readonly usage: Record<string, number> };
  readonly content_block?: Record<string, unknown>;
  readonly delta?: Record<string, string>;
}

async function events(response: Response): Promise<StreamEvent[]> {
  return [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(
    ([, json]) => JSON.parse(json ?? "") as StreamEvent,
  );
}

test("a turn is streamed, and its body reaches the provider unchanged", async () => {
  const body = turn("hello", { model: "claude-haiku-5-5" });
  const response = await send(body);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  expect((await events(response)).at(-1)?.type).toBe("message_stop");
  expect(upstream.requests[0]?.body.toString()).toBe(JSON.stringify(body));
  expect(upstream.requests[0]?.headers["anthropic-beta"]).toBe(betas);
  expect(upstream.requests[0]?.headers["user-agent"]).toContain("claude-cli");
});

test("a tool loop with thinking goes round, and its prompt is read from the cache", async () => {
  const first = await events(await send(turn("please use Bash now")));
  const blocks = first.filter(({ type }) => type === "content_block_start").map(({ content_block }) => content_block);
  expect(blocks.map((block) => block?.["type"])).toEqual(["thinking", "text", "tool_use"]);
  const signature = first.find(({ delta }) => delta?.["type"] === "signature_delta")?.delta?.["signature"];
  const call = { ...blocks[2], input: { command: "echo hello", timeout: 1 } };
  const base = turn("please use Bash now");
  const messages = [
    ...(base["messages"] as unknown[]),
    {
      role: "assistant",
      content: [{ type: "thinking", thinking: "", signature }, { type: "text", text: "Let me look that up." }, call],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: blocks[2]?.["id"], content: "hello", cache_control: { type: "ephemeral" } },
      ],
    },
  ];
  const response = await send({ ...base, system: (base["system"] as unknown[]).slice(1), messages });
  const second = await events(response);
  const text = second.map(({ delta }) => delta?.["text"] ?? "").join("");
  expect(text).toBe("The tool returned: hello");
  const third = await events(await send({ ...base, system: (base["system"] as unknown[]).slice(1), messages }));
  expect(third[0]?.message?.usage["cache_read_input_tokens"]).toBeGreaterThan(9_000);
});

test("both credentials at once, thirty-four counts at once, and the model list", async () => {
  const both = await send(turn("both"), { "x-api-key": stack.key });
  expect(both.status).toBe(200);
  await both.text();
  const foo = { model: "claude-opus-5-5", messages: [{ role: "user", content: "foo" }], tools: [] };
  const counts = await Promise.all(
    Array.from({ length: 34 }, () =>
      send(foo, { "anthropic-beta": `${betas},token-counting-2024-11-01` }, "/v1/messages/count_tokens"),
    ),
  );
  for (const count of counts) expect(await count.json()).toEqual({ input_tokens: 1 });
  const list = await fetch(`${stack.url}/v1/models?limit=1000`, {
    headers: {
      authorization: `Bearer ${stack.key}`,
      "anthropic-version": "2023-06-01",
      "user-agent": "claude-code/2.1.330",
    },
  });
  const { data } = (await list.json()) as { data: { id: string; display_name: string }[] };
  expect(data.map(({ id }) => id)).toContain("claude-opus-5-5");
  expect(data.every(({ display_name }) => display_name.length > 0)).toBe(true);
});

test("after an error event the same body is answered without a stream", async () => {
  upstream.next(
    (exchange) => exchange.error(529),
    (exchange) => exchange.error(529),
  );
  const body = turn("again", { model: "claude-haiku-5-5" });
  expect((await send(body)).status).toBe(529);
  const whole = await send({ ...body, stream: false });
  expect(await whole.json()).toMatchObject({ type: "message", content: [{ text: "echo: Mind the rules." }] });
});

test("six quick 400s are one turn, and nobody is shut out for them", async () => {
  upstream.onRequest((exchange) => exchange.error(400, { message: "no" }));
  for (let attempt = 0; attempt < 6; attempt++) {
    const response = await send(turn("refused", { model: "claude-haiku-5-5" }));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error", message: "no" } });
  }
  upstream.clear();
  expect((await send(turn("welcome", { model: "claude-haiku-5-5" }))).status).toBe(200);
});

test("HEAD /api/hello at the start is answered, one way or the other", async () => {
  const response = await fetch(`${stack.url}/api/hello`, { method: "HEAD" });
  expect(response.status).toBeLessThan(500);
});
