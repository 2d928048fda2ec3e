import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";

import { get, post, prompt, type Answered } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import type { Stack } from "../support/stack.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// What the gateway refuses by itself, in Anthropic's words: no provider is asked.

const upstream = await useUpstream();
const claude = { routes: ["one"] };
const stack = await useStack({
  upstreams: [upstream],
  config: {
    models: { "claude-opus-4-8": claude, "claude-haiku-4-5": claude, "gpt-oss": { ...claude, claude: false } },
    server: { cors_origins: ["https://app.example"] },
  },
});

interface Envelope {
  readonly type: string;
  readonly error: { readonly type: string; readonly message: string; readonly details?: unknown };
  readonly request_id: string;
}

/** Every refusal is the envelope, as JSON, with one id in header and body. */
function refusal(answer: Answered): Envelope["error"] & { readonly status: number } {
  expect(answer.headers.get("content-type")).toContain("application/json");
  const body = answer.json as Envelope;
  expect(body.type).toBe("error");
  expect(body.request_id).toMatch(/^call_/);
  expect(answer.headers.get("request-id")).toBe(body.request_id);
  expect(answer.headers.get("x-sluice-request-id")).toBe(body.request_id);
  return { status: answer.status, ...body.error };
}

const bare = (init: RequestInit, path = "/v1/messages"): Promise<Answered> =>
  fetch(`${stack.url}${path}`, { method: "POST", body: JSON.stringify(prompt("x")), ...init }).then(
    async (response) => {
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        bytes: Buffer.from(text),
        text,
        json: text.startsWith("{") ? (JSON.parse(text) as unknown) : undefined,
      };
    },
  );

describe("the credential", () => {
  test.each([
    ["none", {}, /x-api-key|authorization/i],
    ["a wrong x-api-key", { "x-api-key": "nope" }, /x-api-key/],
    ["a wrong Bearer", { authorization: "Bearer nope" }, /authorization|bearer/i],
    ["both, the x-api-key wrong", { "x-api-key": "nope", authorization: "Bearer sk-sluice-test" }, /x-api-key/],
    ["a Basic authorization", { authorization: "Basic c2stc2x1aWNlLXRlc3Q=" }, /x-api-key|authorization/i],
  ])("%s: 401 that names the header", async (_name, headers, message) => {
    const error = refusal(await bare({ headers }));
    expect(error).toMatchObject({ status: 401, type: "authentication_error" });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("nope");
    expect(upstream.requests).toHaveLength(0);
  });

  test.each([
    ["x-api-key", { "x-api-key": "sk-sluice-test" }],
    ["Bearer", { authorization: "Bearer sk-sluice-test" }],
    ["bearer in lower case", { authorization: "bearer sk-sluice-test" }],
    ["an empty x-api-key beside a Bearer", { "x-api-key": "", authorization: "Bearer sk-sluice-test" }],
    ["a right x-api-key beside a wrong Bearer", { "x-api-key": "sk-sluice-test", authorization: "Bearer nope" }],
  ])("%s is let in", async (_name, headers) => {
    expect((await bare({ headers })).status).toBe(200);
  });

  test("unknown paths and wrong methods are nobody's business without one", async () => {
    expect(refusal(await bare({}, "/v1/nothing")).status).toBe(401);
    expect(refusal(await bare({ method: "GET", body: null }, "/v1/models")).status).toBe(401);
    expect(refusal(await get(stack, "/v1/nothing"))).toMatchObject({ status: 404, type: "not_found_error" });
    expect(refusal(await get(stack, "/v1/messages"))).toMatchObject({ status: 405, type: "invalid_request_error" });
  });

  test("the key's own limit is a 429 with retry-after", async () => {
    const endpoint = { ...stack, key: "sk-sluice-slow" };
    const answers = [];
    for (let call = 0; call < 3; call++) answers.push(await post(endpoint, prompt("limited")));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    const last = answers[2] as Answered;
    expect(refusal(last)).toMatchObject({ type: "rate_limit_error" });
    expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(upstream.requests).toHaveLength(2);
  });

  test("many at once are let in up to the limit: the rest, whose jobs are written by then, never reach a provider", async () => {
    const endpoint = { ...stack, key: "sk-sluice-burst" };
    const calls = Array.from({ length: 40 }, (_, at) => post(endpoint, prompt(`burst ${at}`)));
    const answers = await Promise.all(calls);
    const refused = answers.filter(({ status }) => status !== 200);
    // Where Redis took too long, a second limit of five decided: the gateway's own.
    expect(refused.length).toBeGreaterThanOrEqual(30);
    for (const answer of refused) expect(refusal(answer)).toMatchObject({ status: 429, type: "rate_limit_error" });
    await eventually(async () => {
      const { lanes } = (await get(stack, "/v1/limits")).json as { lanes: Record<string, unknown> };
      expect(lanes["interactive"]).toMatchObject({ waiting: 0, parked: 0, running: 0 });
    });
    expect(upstream.requests).toHaveLength(calls.length - refused.length);
  });
});

test("keys that change are taken over at SIGHUP, and a file that is no config changes nothing", async () => {
  const gateway = stack.get("gateway");
  const written = await readFile(stack.configFile, "utf8");
  const config = JSON.parse(written) as { readonly keys: readonly object[] };
  const fresh = { ...stack, key: "sk-sluice-fresh" };
  const gone = { ...stack, key: stack.otherKey };
  const statusOf = async (caller: Stack): Promise<number> => (await post(caller, prompt("who am I"))).status;
  expect([await statusOf(fresh), await statusOf(gone)]).toEqual([401, 200]);
  const keys = [...config.keys.filter((_, index) => index !== 1), { name: "fresh", key: fresh.key }];
  await writeFile(stack.configFile, JSON.stringify({ ...config, keys }));
  gateway.signal("SIGHUP");
  await expect.poll(async () => [await statusOf(fresh), await statusOf(gone)]).toEqual([200, 401]);
  await writeFile(stack.configFile, "keys: nonsense");
  gateway.signal("SIGHUP");
  await expect.poll(() => gateway.lines.join("\n")).toContain("reload failed");
  expect(await statusOf(fresh)).toBe(200);
  await writeFile(stack.configFile, written);
  gateway.signal("SIGHUP");
  await expect.poll(async () => [await statusOf(fresh), await statusOf(gone)]).toEqual([401, 200]);
});

describe("the model", () => {
  const ask = (model: unknown, path?: string): Promise<Answered> =>
    post(stack, prompt("x", { model }), path === undefined ? {} : { path });

  test("unknown is 404, under a Claude-only prefix 400", async () => {
    expect(refusal(await ask("claude-nobody"))).toMatchObject({
      status: 404,
      type: "not_found_error",
      message: "model: claude-nobody (GET /v1/models lists what this key may use)",
    });
    for (const prefix of ["/anthropic", "/ai-gateway/anthropic"]) {
      expect(refusal(await ask("claude-nobody", `${prefix}/v1/messages`))).toMatchObject({
        status: 400,
        type: "invalid_request_error",
        message: 'unknown model "claude-nobody" (GET /v1/models lists what this key may use)',
      });
      expect(refusal(await ask("gpt-oss", `${prefix}/v1/messages`))).toMatchObject({
        status: 400,
        message: 'model "gpt-oss" is not available on this endpoint',
      });
    }
    expect((await ask("gpt-oss")).status).toBe(200);
  });

  test("is 403 when the key may not use it, wherever it is named", async () => {
    const opus = { ...stack, key: stack.opusKey };
    const other = "claude-haiku-4-5";
    const bodies = [
      prompt("x", { model: other }),
      prompt("x", { fallbacks: [{ model: other }] }),
      prompt("x", { tools: [{ type: "advisor_20260301", name: "advisor", model: other }] }),
      prompt("x", { providerOptions: { gateway: { models: [other] } } }),
    ];
    for (const body of bodies)
      expect(refusal(await post(opus, body)), JSON.stringify(body)).toMatchObject({
        status: 403,
        type: "permission_error",
      });
    expect((await post(opus, prompt("x"))).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("the body", () => {
  const { max_tokens: _, ...noMaxTokens } = prompt("x");
  const { messages: __, ...noMessages } = prompt("x");
  const { model: ___, ...noModel } = prompt("x");
  const json = JSON.stringify(prompt("x"));

  test.each<[string, string, RegExp]>([
    ["without max_tokens", JSON.stringify(noMaxTokens), /^max_tokens: Field required$/],
    ["without messages", JSON.stringify(noMessages), /^messages: Field required$/],
    ["without model", JSON.stringify(noModel), /^model: Field required$/],
    ["empty", "", /./],
    ["no JSON", "{nope", /JSON/i],
    ["cut off", json.slice(0, -1), /JSON/i],
    ["with something behind it", `${json} x`, /JSON/i],
    ["an array", "[]", /object|dictionary/i],
    ["null", "null", /object|dictionary/i],
    ["model a number", JSON.stringify(prompt("x", { model: 5 })), /^model/],
    ["stream a string", JSON.stringify(prompt("x", { stream: "true" })), /^stream/],
    ["messages an object", JSON.stringify(prompt("x", { messages: {} })), /^messages/],
    ["max_tokens a string", JSON.stringify(prompt("x", { max_tokens: "5" })), /^max_tokens/],
    ["max_tokens an absurd number", json.replace("1024", "1e400"), /^max_tokens/],
    ["max_tokens negative", JSON.stringify(prompt("x", { max_tokens: -1 })), /^max_tokens/],
    ["model twice", json.replace("{", `{"model":"claude-haiku-4-5",`), /model/],
    ["model twice, once in other letters", json.replace("{", `{"MODEL":"claude-haiku-4-5",`), /model/i],
    ["model twice, once escaped", json.replace("{", `{"mod\\u0065l":"claude-haiku-4-5",`), /model/],
    ["stream twice", json.replace("{", `{"stream":false,"stream":true,`), /stream/],
    ["system twice", json.replace("{", `{"system":"a","system":"b",`), /system/],
    ["nested too deep", json.replace("{", `{"deep":${"[".repeat(100_000)}${"]".repeat(100_000)},`), /./],
  ])("%s: 400 that says what is wrong", async (_name, body, message) => {
    const error = refusal(await post(stack, body));
    expect(error).toMatchObject({ status: 400, type: "invalid_request_error" });
    expect(error.message).toMatch(message);
    expect(upstream.requests).toHaveLength(0);
  });

  test("not in UTF-8: 400", async () => {
    const bytes = Buffer.from(json.replace('"x"', '"\u00ff"'), "latin1");
    expect(refusal(await post(stack, bytes)).status).toBe(400);
  });

  test("compressed: 400 with the API's error_code", async () => {
    const error = refusal(await post(stack, json, { headers: { "content-encoding": "gzip" } }));
    expect(error).toMatchObject({ status: 400, details: { error_code: "request_body_encoding_unsupported" } });
  });

  test("lone surrogates and what nobody has heard of are the provider's business", async () => {
    const body = json.replace('"x"', '"\\ud800 alone"').replace("{", `{"unheard_of":{"model":"x","model2":[]},`);
    expect((await post(stack, body)).status).toBe(200);
    expect(upstream.requests[0]?.body.toString()).toBe(body);
  });
});

test("count_tokens needs no max_tokens", async () => {
  const { max_tokens: _, ...body } = prompt("12345");
  const answer = await post(stack, body, { path: "/v1/messages/count_tokens" });
  expect(answer.json).toEqual({ input_tokens: 5 });
});

test("an origin on the list may call from a browser, another may not", async () => {
  const preflight = (origin: string): Promise<Response> =>
    fetch(`${stack.url}/v1/messages`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key,anthropic-version,content-type",
      },
    });
  const allowed = await preflight("https://app.example");
  expect(allowed.headers.get("access-control-allow-origin")).toBe("https://app.example");
  expect(allowed.headers.get("access-control-allow-headers")?.toLowerCase()).toContain("x-api-key");
  expect((await preflight("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
});
