import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLocalStack, type LocalStack } from "../support/local-stack.ts";

const example = join(import.meta.dirname, "../../sluice.wires.example.yaml");

let local: LocalStack;
let url = "";
let key = "";

beforeAll(async () => {
  local = await startLocalStack({ SLUICE_CONFIG: example, SLUICE_SIM_TTFT_MS: "0" });
  ({ url, key } = local);
});
afterAll(() => local?.stop());

interface Trace {
  readonly attempts: readonly { readonly provider: string; readonly model: string; readonly reason: string }[];
  readonly notes: readonly string[];
  readonly cost: unknown;
}

function post(body: object): Promise<Response> {
  return fetch(`${url}/v1/messages`, {
    method: "POST",
    headers: {
      "x-api-key": key,
      "content-type": "application/json",
      "anthropic-version": "2023-06-01",
      "anthropic-beta": "context-1m-2025-08-07",
    },
    body: JSON.stringify({ model: "claude-sonnet-5-5", max_tokens: 100, ...body }),
  });
}

async function traceOf(response: Response): Promise<Trace> {
  const id = response.headers.get("x-sluice-request-id") ?? "";
  const answer = await fetch(`${url}/v1/requests/${id}`, { headers: { "x-api-key": key } });
  return (await answer.json()) as Trace;
}

const failing = (...keys: readonly string[]): string =>
  keys.map((name) => `[sim: 503 message=gone on=${name}]`).join(" ");

const providersOf = ({ attempts }: Trace): string[] => [...new Set(attempts.map(({ provider }) => provider))];

test.each([false, true])(
  "a call goes from Anthropic over Bedrock and Vertex to OpenAI, and its trace tells (stream: %s)",
  async (stream) => {
    const content = `${failing("sim-anthropic", "sim-bedrock", "sim-vertex")} Hello ${stream ? "you" : "there"}`;
    const response = await post({ stream, messages: [{ role: "user", content }] });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    expect(response.headers.get("x-sluice-provider")).toBe("openai");
    expect(response.headers.get("x-sluice-dropped-betas")).toBe("context-1m-2025-08-07");
    if (stream) expect(text).toMatch(/^event: message_start\n[^]*event: message_stop\n/);
    else expect(JSON.parse(text)).toMatchObject({ type: "message", role: "assistant", model: "claude-sonnet-5-5" });
    const trace = await traceOf(response);
    expect(providersOf(trace)).toEqual(["anthropic", "bedrock", "vertex", "openai"]);
    expect(trace.attempts.at(-1)).toMatchObject({ model: "gpt-6", reason: "ok" });
    expect(
      trace.attempts.slice(0, -1).every(({ reason }) => reason === "overloaded" || reason === "server_error"),
    ).toBe(true);
    expect(trace.notes).toContain("dropped: anthropic-beta context-1m-2025-08-07");
    // What gpt-6 costs is nowhere said.
    expect(trace.cost).toEqual({ usd: "unknown", why: "no price of gpt-6 at openai is known" });
  },
);

test.each([
  ["bedrock", ["sim-anthropic"]],
  ["vertex", ["sim-anthropic", "sim-bedrock"]],
  ["gemini", ["sim-anthropic", "sim-bedrock", "sim-vertex", "sim-openai"]],
  ["foundry", ["sim-anthropic", "sim-bedrock", "sim-vertex", "sim-openai", "sim-gemini"]],
])("a conversation with a tool goes on at %s", async (provider, keys) => {
  const tools = [{ name: "get_time", input_schema: { type: "object", properties: {} } }];
  const messages = [
    { role: "user", content: `What time is it at ${provider}?` },
    { role: "assistant", content: [{ type: "tool_use", id: "toolu_01", name: "get_time", input: {} }] },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "toolu_01", content: "noon" },
        { type: "text", text: `${failing(...keys)} So?` },
      ],
    },
  ];
  const response = await post({ messages, tools });
  const message = (await response.json()) as { type: string; usage: { output_tokens: number } };
  expect(response.headers.get("x-sluice-provider"), JSON.stringify(message)).toBe(provider);
  expect(message.type).toBe("message");
  expect(message.usage.output_tokens).toBeGreaterThan(0);
});

test("a batch is run at every provider, and its results are Anthropic's", async () => {
  const providers = ["anthropic", "bedrock", "vertex", "foundry", "openai", "gemini"];
  const requests = providers.map((provider) => ({
    custom_id: provider,
    params: {
      model: "claude-sonnet-5-5",
      max_tokens: 100,
      messages: [{ role: "user", content: `An item for ${provider}` }],
      providerOptions: { gateway: { only: [provider] } },
    },
  }));
  const headers = { "x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01" };
  const read = async (path: string): Promise<string> => (await fetch(`${url}/v1/${path}`, { headers })).text();
  const callsOf = async (): Promise<Record<string, number>> => {
    const { data } = JSON.parse(await read("usage?group_by=provider")) as {
      data: { provider: string; calls: number }[];
    };
    return Object.fromEntries(data.map(({ provider, calls }) => [provider, calls]));
  };
  const before = await callsOf();
  const init = { method: "POST", headers, body: JSON.stringify({ requests }) };
  const { id } = (await (await fetch(`${url}/v1/messages/batches`, init)).json()) as { id: string };
  await expect
    .poll(async () => JSON.parse(await read(`messages/batches/${id}`)) as unknown, { timeout: 30_000, interval: 200 })
    .toMatchObject({ processing_status: "ended", request_counts: { succeeded: providers.length } });
  const lines = (await read(`messages/batches/${id}/results`)).trim().split("\n");
  const results = lines.map((line) => JSON.parse(line) as { custom_id: string; result: unknown });
  expect(results.map(({ custom_id: customId }) => customId).toSorted()).toEqual(providers.toSorted());
  for (const { result } of results)
    expect(result).toMatchObject({ type: "succeeded", message: { type: "message", model: "claude-sonnet-5-5" } });
  const more = async (): Promise<boolean[]> => {
    const after = await callsOf();
    return providers.map((provider) => (after[provider] ?? 0) > (before[provider] ?? 0));
  };
  await expect.poll(more).toEqual(providers.map(() => true));
});
