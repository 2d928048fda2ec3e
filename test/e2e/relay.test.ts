import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { get, post, prompt, sdk, streamedText } from "../support/clients.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { blockStart, messageBody, messageStart, ping, streamEnd, textDelta } from "../support/wire-samples.ts";

const upstream = await useUpstream();
const stack = await useStack({ upstreams: [upstream] });

/** Members in an odd order, odd numbers, escapes, spaces, members nobody knows. */
function oddBody(model: string, extra = ""): string {
  return `{ "max_tokens" : 1e2,\n\t"tools":[{"input_schema":{"b":1,"a":1.50},"name":"t"}],"unheard_of":{"z":[1.0,"\\u0041\\ud83c\\udf88"]} ,
 "model":"${model}" , "messages":[ {"role":"user","content":"caf\\u00e9 – naïve 🎈"} ]${extra} }`;
}

/** Every kind of member that the API knows, fields on messages and marks of the cache at every place. */
function fullBody(more: object): string {
  const mark = { cache_control: { type: "ephemeral", ttl: "1h" } };
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } };
  const pdf = {
    type: "document",
    source: { type: "url", url: "https://files.example/a.pdf" },
    citations: { enabled: true },
  };
  const thinking = { type: "thinking", thinking: "…", signature: "EqQBCkYIARgCKkBlZGl0IG1lIG5vdA==" };
  const use = { type: "tool_use", id: "toolu_1", name: "look", input: { city: "Ålesund" } };
  const result = {
    type: "tool_result",
    tool_use_id: "toolu_1",
    content: [{ type: "text", text: "rain", ...mark }],
    ...mark,
  };
  return JSON.stringify({
    model: "claude-opus-4-8",
    max_tokens: 4096,
    system: [{ type: "text", text: "Be brief.", ...mark }],
    messages: [
      { role: "user", content: [{ type: "text", text: "look", ...mark }, image, pdf], id: "msg_own", unheard_of: 1 },
      { role: "assistant", content: [thinking, { type: "redacted_thinking", data: "x" }, use] },
      { role: "user", content: [result] },
      { role: "system", content: [{ type: "text", text: "Mind the rules." }], output_config: { effort: "medium" } },
    ],
    tools: [
      {
        name: "look",
        input_schema: { type: "object", properties: { city: { type: "string" } } },
        strict: true,
        ...mark,
      },
      { type: "web_search_20260209", name: "web_search", max_uses: 2 },
      { type: "code_execution_20260120", name: "code_execution" },
    ],
    tool_choice: { type: "auto", disable_parallel_tool_use: true },
    thinking: { type: "adaptive", display: "summarized" },
    output_config: { effort: "high", format: { type: "json_schema", schema: { type: "object" } } },
    service_tier: "auto",
    metadata: { user_id: "u-1" },
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    mcp_servers: [{ type: "url", url: "https://mcp.example", name: "m" }],
    stop_sequences: ["\u0000"],
    ...more,
  });
}

// Before any call has ended: what a busy machine makes calls wait for is no reason to shed these.
test("six hundred streams are all with the provider at once: none waits for another's connection", async () => {
  const all = Promise.withResolvers<void>();
  upstream.onRequest(async (exchange) => {
    await all.promise;
    exchange.stream(`for ${exchange.request.prompt}`);
  });
  const answers: ReturnType<typeof post>[] = [];
  while (answers.length < 600) {
    for (let count = 0; count < 50; count += 1)
      answers.push(post(stack, prompt(`open ${answers.length}`, { stream: true })));
    await expect.poll(() => upstream.requests.length, { timeout: 20_000 }).toBe(answers.length);
  }
  all.resolve();
  for (const [index, answer] of (await Promise.all(answers)).entries())
    expect(streamedText(answer)).toBe(`for open ${index}`);
});

describe("what the provider receives", () => {
  test.each(["2023-06-01", "2026-10-21"])("holds every member and block as it came, version %s", async (version) => {
    const headers = { "anthropic-version": version, "anthropic-beta": "context-management-2025-06-27" };
    const bodies = [fullBody({}), fullBody({ stream: true }), fullBody({ thread: { type: "create" } })];
    for (const body of bodies) {
      expect((await post(stack, body, { headers })).status).toBe(200);
      const seen = upstream.requests.at(-1);
      expect(seen?.body.toString()).toBe(body);
      expect(seen?.headers).toMatchObject(headers);
    }
    const counted = fullBody({});
    await post(stack, counted, { headers, path: "/v1/messages/count_tokens" });
    expect(upstream.requests.at(-1)?.body.toString()).toBe(counted);
  });

  test("is the caller's body, byte for byte", async () => {
    const body = oddBody("claude-opus-4-8");
    expect((await post(stack, body)).status).toBe(200);
    expect(upstream.requests[0]?.body.toString()).toBe(body);
  });

  test("streamed as well", async () => {
    const body = oddBody("claude-opus-4-8", `,"stream" :true`);
    expect((await post(stack, body)).status).toBe(200);
    expect(upstream.requests[0]?.body.toString()).toBe(body);
  });

  test("has the upstream model in the place of an alias, and no providerOptions", async () => {
    const wishes = `,"providerOptions":{"gateway":{"order":["one"]}}`;
    expect((await post(stack, oddBody("anthropic/claude-opus-4.8", wishes))).status).toBe(200);
    const received = upstream.requests[0]?.body.toString() ?? "";
    expect(received.replace(/\s*\}$/, " }")).toBe(oddBody("claude-opus-4-8"));
  });

  test("holds a megabyte, through the queue and streamed", async () => {
    const text = 'ab\ncd"ef🎈 '.repeat(100_000);
    const client = sdk(stack);
    const params = { model: "claude-opus-4-8", max_tokens: 10, messages: [{ role: "user" as const, content: text }] };
    await client.messages.create(params);
    await client.messages.stream(params).finalMessage();
    for (const { body } of upstream.requests)
      expect((JSON.parse(body.toString()) as typeof params).messages[0]?.content).toBe(text);
    expect(upstream.requests).toHaveLength(2);
  });

  test("carries the five forwarded headers and the provider's own key, and nothing else of the caller's", async () => {
    for (const stream of [false, true]) {
      await post(stack, prompt("headers", { stream }), {
        headers: {
          "anthropic-beta": "context-1m-2025-08-07,interleaved-thinking-2025-05-14",
          "anthropic-version": "2026-10-21",
          "user-agent": "tester/1.0",
          accept: "application/json",
          cookie: "secret=1",
          "x-stainless-lang": "js",
          "x-forwarded-for": "192.0.2.7",
          authorization: `Bearer ${stack.key}`,
        },
      });
      const headers = { ...upstream.requests.at(-1)?.headers };
      expect(headers).toMatchObject({
        "anthropic-beta": "context-1m-2025-08-07,interleaved-thinking-2025-05-14",
        "anthropic-version": "2026-10-21",
        "user-agent": "tester/1.0",
        accept: "application/json",
        "content-type": "application/json",
        "x-api-key": "sim-1",
      });
      for (const own of ["host", "connection", "content-length", "transfer-encoding", "accept-encoding"])
        delete headers[own];
      expect(Object.keys(headers).toSorted()).toEqual([
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "user-agent",
        "x-api-key",
      ]);
    }
  });

  test("the version is 2023-06-01 when the caller names none", async () => {
    const init = {
      method: "POST",
      headers: { authorization: `Bearer ${stack.key}` },
      body: JSON.stringify(prompt("x")),
    };
    expect((await fetch(`${stack.url}/v1/messages`, init)).status).toBe(200);
    expect(upstream.requests[0]?.headers["anthropic-version"]).toBe("2023-06-01");
  });
});

describe("what the caller gets", () => {
  test("is the provider's body, byte for byte, with its headers and ours", async () => {
    const body = `{"usage":{"output_tokens":1,"input_tokens":3} ,\n "type":"message","id":"msg_odd","content":[],"new":[1.0,"\\ud800"]}`;
    upstream.next((exchange) => {
      exchange.response.writeHead(200, {
        "content-type": "application/json; charset=utf-8",
        "request-id": "req_odd",
        "anthropic-ratelimit-requests-remaining": "7",
        "anthropic-organization-id": "org",
        "set-cookie": "a=b",
        "x-internal": "no",
      });
      exchange.response.end(body);
    });
    const answer = await post(stack, prompt("whole"));
    expect(answer.text).toBe(body);
    const { headers } = answer;
    expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(headers.get("request-id")).toBe("req_odd");
    expect(headers.get("anthropic-ratelimit-requests-remaining")).toBe("7");
    expect(headers.get("anthropic-organization-id")).toBe("org");
    expect(headers.get("x-sluice-provider")).toBe("one");
    expect(headers.get("x-sluice-model")).toBe("claude-opus-4-8");
    expect(headers.get("x-sluice-attempts")).toBe("1");
    expect(headers.get("x-sluice-request-id")).toMatch(/^call_/);
    expect(Number(headers.get("x-sluice-queue-ms"))).toBeGreaterThanOrEqual(0);
    expect([headers.get("set-cookie"), headers.get("x-internal")]).toEqual([null, null]);
  });

  test("is the provider's stream, byte for byte: CRLF, comments and events nobody knows", async () => {
    const text =
      messageStart("m", "msg_1").replaceAll("\n", "\r\n") +
      `: a comment\n\nevent: novelty\ndata: {"type":"novelty"}\n\n${blockStart()}` +
      `${textDelta("naïve 🎈")}${ping}${streamEnd()}`;
    upstream.next((exchange) => void exchange.openStream().end(text));
    const answer = await post(stack, prompt("streamed", { stream: true }));
    expect(answer.text).toBe(text);
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    expect(answer.headers.get("x-accel-buffering")).toBe("no");
    expect(answer.headers.get("request-id")).toMatch(/^req_upstream_/);
    expect(answer.headers.get("x-sluice-request-id")).toMatch(/^call_/);
  });

  test("is one and the same stream wherever it was cut on the way", async () => {
    const text =
      messageStart("m", "msg_1") +
      blockStart().replaceAll("\n", "\r\n") +
      textDelta("é🎈") +
      ping +
      streamEnd().slice(0);
    const bytes = Buffer.from(text);
    upstream.onRequest(async (exchange) => {
      const cut = Number(exchange.request.prompt);
      const response = exchange.openStream();
      response.write(bytes.subarray(0, cut));
      await sleep(1);
      response.end(bytes.subarray(cut));
    });
    const cuts = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);
    const worker = async (): Promise<void> => {
      for (let cut = cuts.pop(); cut !== undefined; cut = cuts.pop()) {
        const answer = await post(stack, prompt(String(cut), { stream: true }));
        expect(answer.text, `cut at ${cut}`).toBe(text);
      }
    };
    await Promise.all(Array.from({ length: 24 }, worker));
    expect(upstream.requests).toHaveLength(bytes.length - 1);
  });
});

test("two hundred calls at once, whole, streamed and counted, get their own answers", async () => {
  const calls = Array.from({ length: 200 }, async (_, index) => {
    const text = `number ${index} ${"x".repeat(index * 200)}`;
    if (index % 3 === 0) {
      const answer = await post(stack, prompt(text));
      expect((answer.json as { content: { text: string }[] }).content[0]?.text).toBe(`echo: ${text}`);
    } else if (index % 3 === 1) {
      const message = await sdk(stack)
        .messages.stream({ model: "claude-opus-4-8", max_tokens: 9, messages: [{ role: "user", content: text }] })
        .finalText();
      expect(message).toBe(`echo: ${text}`);
    } else {
      const answer = await post(stack, prompt(text), { path: "/v1/messages/count_tokens" });
      expect(answer.json).toEqual({ input_tokens: text.length });
    }
  });
  await Promise.all(calls);
  expect(upstream.requests).toHaveLength(200);
});

describe("paths that clients really use", () => {
  test.each([
    "/v1/messages?beta=true",
    "/v1/v1/messages",
    "/v1/messages/",
    "/anthropic/v1/messages",
    "/ai-gateway/anthropic/v1/messages?beta=true",
  ])("POST %s", async (path) => {
    const answer = await post(stack, prompt("path"), { path });
    expect(answer.json).toMatchObject({ content: [{ text: "echo: path" }] });
    expect(upstream.requests[0]?.path).toMatch(/^\/v1\/messages(\?beta=true)?$/);
  });

  test("GET /v1/models lists what the key may use, by id too, percent-encoded", async () => {
    const all = (await get(stack, "/v1/models?limit=1000")).json as { data: { id: string }[] };
    expect(all.data.map(({ id }) => id)).toContain("claude-haiku-4-5");
    const opus = (await get({ ...stack, key: stack.opusKey }, "/v1/models?limit=1000")).json as typeof all;
    expect(opus.data.every(({ id }) => id.startsWith("claude-opus-"))).toBe(true);
    const one = await get(stack, "/v1/models/anthropic%2Fclaude-opus-4.8");
    expect(one.json).toMatchObject({ id: "claude-opus-4-8", type: "model" });
    expect((await get(stack, "/v1/models/claude-nobody")).json).toMatchObject({
      error: { type: "not_found_error", message: "model: claude-nobody (GET /v1/models lists what this key may use)" },
    });
  });
});

test("a call can be looked up by the provider's request id and by ours, by its own key only", async () => {
  upstream.next((exchange) => exchange.json(200, messageBody("x"), { "request-id": "req_looked_up" }));
  const answer = await post(stack, prompt("look me up"));
  const callId = answer.headers.get("x-sluice-request-id") ?? "";
  for (const id of [callId, "req_looked_up"]) {
    await expect
      .poll(async () => (await get(stack, `/v1/requests/${id}`)).json)
      .toMatchObject({
        id: callId,
        request_id: "req_looked_up",
        model: "claude-opus-4-8",
        status: 200,
        usage: { output_tokens: 7 },
        attempts: [{ provider: "one", status: 200, reason: "ok", upstream_request_id: "req_looked_up" }],
      });
    expect((await get(stack, `/v1/requests/${id}`)).text).not.toContain("look me up");
    expect((await get({ ...stack, key: stack.otherKey }, `/v1/requests/${id}`)).status).toBe(404);
  }
});

test("every process shows its metrics, and no prompt or key is in any log", async () => {
  await post(stack, prompt("canary-of-a-prompt"));
  await post(stack, prompt("canary-of-a-prompt", { stream: true }));
  const texts = await Promise.all(
    stack.processes.map(async ({ opsUrl }) => {
      const response = await fetch(`${opsUrl}/metrics`);
      expect(response.status).toBe(200);
      return response.text();
    }),
  );
  const all = texts.join("\n");
  for (const shown of [
    /^sluice_calls_total\{[^}]*model="claude-opus-4-8"[^}]*\} [1-9]/m,
    /^sluice_call_seconds_count\{[^}]*\} [1-9]/m,
    /^sluice_time_to_first_content_seconds_count\{[^}]*\} [1-9]/m,
    /^sluice_in_flight\{[^}]*\} 0/m,
    /^sluice_attempts_total\{[^}]*provider="one"[^}]*\} [1-9]/m,
    /^sluice_attempt_seconds_count\{[^}]*\} [1-9]/m,
    /^sluice_tokens_total\{[^}]*kind="input"\} [1-9]/m,
    /^sluice_tokens_total\{[^}]*kind="output"\} [1-9]/m,
    /^sluice_queue_depth\{lane="interactive",state="waiting"\} 0/m,
    /^sluice_queue_wait_seconds_count\{lane="interactive"\} [1-9]/m,
  ])
    expect(all).toMatch(shown);
  for (const text of texts) expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds [\d.e-]+$/m);
  for (const secret of ["canary-of-a-prompt", stack.key, "sim-1"]) {
    expect(stack.log()).not.toContain(secret);
    expect(all).not.toContain(secret);
  }
});

test("SIGHUP makes a worker take over the betas that a provider is not sent, and nothing from a broken file", async () => {
  const worker = stack.get("worker");
  const before = await readFile(stack.configFile, "utf8");
  const config = JSON.parse(before) as { readonly providers: { readonly one: object } };
  const headers = { "anthropic-beta": "context-1m-2025-08-07,output-128k-2025-02-19" };
  const call = async (): Promise<{ dropped: string | null; sent: unknown }> => {
    const answer = await post(stack, prompt("flags"), { headers });
    expect(answer.status).toBe(200);
    const sent = upstream.requests.at(-1)?.headers["anthropic-beta"];
    return { dropped: answer.headers.get("x-sluice-dropped-betas"), sent };
  };
  const everything = { dropped: null, sent: headers["anthropic-beta"] };
  const less = { dropped: "context-1m-2025-08-07", sent: "output-128k-2025-02-19" };

  const one = { ...config.providers.one, betas: [{ flags: { "context-1m-*": "drop" } }] };
  await writeFile(stack.configFile, JSON.stringify({ ...config, providers: { ...config.providers, one } }));
  expect(await call()).toEqual(everything);
  worker.signal("SIGHUP");
  await expect.poll(call).toEqual(less);

  await writeFile(stack.configFile, "providers: [");
  worker.signal("SIGHUP");
  await expect.poll(() => worker.lines.join("\n")).toContain("reload failed");
  expect(await call()).toEqual(less);

  await writeFile(stack.configFile, before);
  worker.signal("SIGHUP");
  await expect.poll(call).toEqual(everything);
});
