import { connect } from "node:net";
import { describe, expect, test } from "vitest";

import type { CallJob } from "#shared/queue/job.ts";
import { bestOf } from "../support/best-of.ts";
import { answerWhole, ask, bedKeys, startGatewayBed, wholeOutcome } from "../support/gateway-bed.ts";
import { openConsumer } from "../support/queue-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { createStoreBed } from "../support/store-bed.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";
import { messageBody } from "../support/wire-samples.ts";

const bed = await useGatewayBed();
/** Sends its headers soon, and forgets callers that left. */
const hasty = await useGatewayBed({ config: { server: { heartbeat_after: "500ms" }, queue: { linger: "1s" } } });

const get = (path: string, key = bedKeys.key): Promise<Response> =>
  fetch(`${bed.url}${path}`, { headers: { "x-api-key": key } });

describe("a whole answer", () => {
  test("comes through the queue, with the headers that tell its way", async () => {
    const message = messageBody("hello");
    bed.script.invoke = () =>
      Promise.resolve(wholeOutcome(message, { waits: [{ kind: "queue", startedAt: 1000, endedAt: 1250 }] }));
    const response = await bed.post("/v1/messages", ask());
    expect(await response.json()).toEqual(message);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/json",
      "request-id": "req_up_1",
      "x-sluice-request-id": expect.stringMatching(/^call_/) as unknown,
      "x-sluice-provider": "one",
      "x-sluice-model": "claude-opus-4-8",
      "x-sluice-attempts": "1",
      "x-sluice-queue-ms": "250",
    });
  });

  test("reaches the worker byte for byte, with its facts beside it", async () => {
    const body = `{ "messages" :[ {"role":"user","content":"caf\\u00e9 ☕"} ],\n"max_tokens": 16,"unknown":{"z":1,"a":2},"model":"opus"}`;
    await bed.post("/anthropic/v1/messages?beta=true", body, {
      "anthropic-beta": "b1",
      "anthropic-version": "2026-10-21",
    });
    const call = bed.calls.at(-1);
    expect(call?.body).toEqual({ bytes: Buffer.from(body) });
    expect(call?.head).toMatchObject({
      operation: "messages",
      stream: false,
      keyId: "key:bed",
      model: "claude-opus-4-8",
      askedModel: "opus",
      headers: { "anthropic-beta": "b1", "anthropic-version": "2026-10-21" },
    });
  });

  test("with a large body lies in Redis once and is read by its key", async () => {
    const body = JSON.stringify(ask({ system: "x".repeat(100_000) }));
    let stored: Buffer | undefined;
    bed.script.invoke = async (call, context) => {
      if ("key" in call.body) stored = await bed.bodies.read(call.body.key);
      return answerWhole(call, context);
    };
    expect((await bed.post("/v1/messages", body)).status).toBe(200);
    expect(stored?.toString()).toBe(body);
  });

  test.each(["/v1/messages/", "/v1/v1/messages", "/ai-gateway/anthropic/v1/messages", "/anthropic/v1/v1/messages/"])(
    "is given at %s too",
    async (path) => {
      expect((await bed.post(path, ask())).status).toBe(200);
    },
  );

  test("calls at the same time get their own answers", async () => {
    bed.script.invoke = (call) => Promise.resolve(wholeOutcome(messageBody(call.head.id)));
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const response = await bed.post("/v1/messages", ask());
        const { content } = (await response.json()) as { content: { text: string }[] };
        return [content[0]?.text, response.headers.get("x-sluice-request-id")];
      }),
    );
    for (const [text, id] of answers) expect(text).toBe(id);
  });

  test("that takes long gets its 200 and spaces, then the answer", async () => {
    const gate = Promise.withResolvers<void>();
    const message = messageBody("late");
    hasty.script.invoke = async () => {
      await gate.promise;
      return wholeOutcome(message);
    };
    const response = await hasty.post("/v1/messages", ask());
    expect(response.status).toBe(200);
    gate.resolve();
    const text = await response.text();
    expect(text).toMatch(/^ +\{/);
    expect(JSON.parse(text)).toEqual(message);
  });

  test("that fails after its 200 breaks the connection", async () => {
    const gate = Promise.withResolvers<void>();
    hasty.script.invoke = async () => {
      await gate.promise;
      return wholeOutcome({}, { code: "overloaded", status: 529 });
    };
    const response = await hasty.post("/v1/messages", ask());
    gate.resolve();
    await expect(response.text()).rejects.toThrow();
  });
});

describe("a caller that leaves", () => {
  test("has its running call cancelled within two seconds of the time that a retry has to join it", async () => {
    const leave = async (): Promise<number> => {
      const cancelled = Promise.withResolvers<void>();
      hasty.script.invoke = (_call, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            cancelled.resolve();
            reject(new Error("cancelled"));
          });
        });
      const leaving = new AbortController();
      const before = hasty.calls.length;
      const call = fetch(`${hasty.url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": bedKeys.key },
        body: JSON.stringify(ask()),
        signal: leaving.signal,
      });
      await expect.poll(() => hasty.calls.length).toBe(before + 1);
      const leftAt = performance.now();
      leaving.abort();
      await expect(call).rejects.toThrow();
      await cancelled.promise;
      return performance.now() - leftAt;
    };
    const tookMs = await bestOf(3, leave, 3000);
    expect(tookMs).toBeGreaterThan(950);
    expect(tookMs).toBeLessThan(3000);
    await expect.poll(() => hasty.lines.join("")).toContain('"code":"cancelled"');
  });

  test("leaves no job behind that was still waiting", async () => {
    await using idle = await startGatewayBed({ dispatcher: false, config: { queue: { linger: "100ms" } } });
    const leave = new AbortController();
    const call = fetch(`${idle.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": bedKeys.key },
      body: JSON.stringify(ask()),
      signal: leave.signal,
    });
    await expect.poll(() => idle.depth()).toMatchObject({ interactive: { waiting: 1 } });
    leave.abort();
    await expect(call).rejects.toThrow();
    await expect.poll(() => idle.depth()).toMatchObject({ interactive: { waiting: 0 } });
  });

  test("within its body leaves nothing behind", async () => {
    const head = `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: 100\r\n\r\n{`;
    const socket = connect(Number(new URL(bed.url).port), "127.0.0.1", () => socket.write(head));
    await expect.poll(() => bed.health()).toMatchObject({ openCalls: 1 });
    socket.destroy();
    await expect.poll(() => bed.health()).toMatchObject({ openCalls: 0 });
  });
});

describe("time", () => {
  test("a job that never ran may be tried again after its 504", async () => {
    await using idle = await startGatewayBed({ dispatcher: false });
    const response = await idle.post("/v1/messages", ask(), { "x-stainless-timeout": "1" });
    expect(response.status).toBe(504);
    expect(response.headers.get("x-should-retry")).toBeNull();
    await expect.poll(() => idle.depth()).toMatchObject({ interactive: { waiting: 0 } });
  });

  test("a job whose dispatcher was lost may not be tried again after its 504, and keeps its body", async () => {
    await using idle = await startGatewayBed({ dispatcher: false });
    const { url, prefix } = idle.config.redis;
    await using store = createStoreBed(url);
    const taken = Promise.withResolvers<CallJob>();
    const handle = (job: CallJob) => {
      taken.resolve(job);
      return new Promise<void>(() => undefined);
    };
    await openConsumer(store, { prefix, lockMs: 60_000, handle });
    const body = ask({ messages: [{ role: "user", content: "x".repeat(20_000) }] });
    const answer = idle.post("/v1/messages", body, { "x-stainless-timeout": "2" });
    const { head, bodyKey = "" } = await taken.promise;
    const { client } = await store.connect("command");
    expect(await client.del(`{${prefix}}:interactive:${head.id}:lock`)).toBe(1);
    const response = await answer;
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([504, "false"]);
    expect(await client.exists(bodyKey)).toBe(1);
  });

  test("nor one that Redis lost and that was put into its lane again: somebody may have had it", async () => {
    await using redis = await startRedis();
    await using idle = await startGatewayBed({ dispatcher: false, redisUrl: redis.url });
    const answer = idle.post("/v1/messages", ask(), { "x-stainless-timeout": "8" });
    await expect.poll(() => idle.depth()).toMatchObject({ interactive: { waiting: 1 } });
    await redis.kill();
    await redis.start();
    await expect.poll(() => idle.depth().catch(() => undefined)).toMatchObject({ interactive: { waiting: 1 } });
    const response = await answer;
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([504, "false"]);
    await expect.poll(() => idle.depth()).toMatchObject({ interactive: { waiting: 0 } });
  });
});

describe("GET /v1/models", () => {
  test("lists what this key may use", async () => {
    const ids = async (path: string, key?: string): Promise<string[]> => {
      const page = (await (await get(path, key)).json()) as { data: { id: string }[] };
      return page.data.map(({ id }) => id);
    };
    expect(await ids("/v1/models")).toEqual(["claude-opus-4-8", "claude-haiku-4-5", "other-1"]);
    expect(await ids("/v1/models?limit=1000", bedKeys.opusKey)).toEqual(["claude-opus-4-8"]);
    expect(await ids("/anthropic/v1/models")).toEqual(["claude-opus-4-8", "claude-haiku-4-5"]);
    expect(await ids("/v1/models?lifecycle[]=retired")).toEqual([]);
  });

  test("comes in pages", async () => {
    const page = await (await get("/v1/models?limit=1&after_id=claude-opus-4-8")).json();
    expect(page).toMatchObject({
      data: [{ id: "claude-haiku-4-5", type: "model" }],
      has_more: true,
      first_id: "claude-haiku-4-5",
      last_id: "claude-haiku-4-5",
    });
  });

  test("gives one model by any of its names, percent-encoded or not", async () => {
    for (const name of ["claude-opus-4-8", "opus", "anthropic%2Fclaude-opus-4.8", "anthropic/claude-opus-4.8"])
      expect(await (await get(`/v1/models/${name}`)).json()).toMatchObject({ id: "claude-opus-4-8" });
  });

  test("refuses a model this key may not use, and a query that makes no sense", async () => {
    expect((await get("/v1/models/claude-haiku-4-5", bedKeys.opusKey)).status).toBe(403);
    expect((await get("/v1/models/gpt-9")).status).toBe(404);
    expect((await get("/v1/models?limit=0")).status).toBe(400);
    expect((await get("/v1/models?lifecycle[]=old")).status).toBe(400);
  });
});

describe("GET /v1/requests/{id}", () => {
  test("gives the trace by either id, to the key that made the call and to no other", async () => {
    const upstreamId = `req_up_${Date.now()}`;
    bed.script.invoke = () =>
      Promise.resolve(
        wholeOutcome(messageBody("x"), {
          headers: { "content-type": "application/json", "request-id": upstreamId },
          notes: ["affinity_kept"],
        }),
      );
    const response = await bed.post("/v1/messages", ask());
    const callId = response.headers.get("x-sluice-request-id") ?? "";
    // At once: it is written a little later, and waited for.
    const trace = await (await get(`/v1/requests/${callId}`)).json();
    expect(trace).toMatchObject({
      id: callId,
      request_id: upstreamId,
      operation: "messages",
      model: "claude-opus-4-8",
      status: 200,
      code: "ok",
      provider: "one",
      attempts: [{ provider: "one", status: 200, reason: "ok", rerun: false }],
      notes: ["affinity_kept"],
    });
    expect(await (await get(`/v1/requests/${upstreamId}`)).json()).toEqual(trace);
    expect((await get(`/v1/requests/${callId}`, bedKeys.otherKey)).status).toBe(404);
    const unknown = await get("/v1/requests/call_unknown");
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({
      error: {
        message: expect.stringContaining("No trace of call_unknown: it is older than an hour, another key's") as string,
      },
    });
  });

  test.each([
    ["job_0123abc", "that is a job's id; give the job's request_id, call_0123abc."],
    ["msgbatch_0123abc", "that is a batch's id; give the request_id of an errored line of its results."],
    ["msg_01abc", "that is a message's id; give the request-id header of an answer"],
    ["REQUEST_ID", "that is no request's id; give the request-id header of an answer"],
  ])("%s is no id of a request, and the answer says what is", async (id, words) => {
    const response = await get(`/v1/requests/${id}`);
    expect(response.status).toBe(404);
    const message = expect.stringContaining(`No trace of ${id}: ${words}`) as string;
    expect(await response.json()).toMatchObject({ error: { type: "not_found_error", message } });
  });
});

test("no word of prompt or answer reaches the stored trace", async () => {
  bed.script.invoke = () => Promise.resolve(wholeOutcome(messageBody("a very secret answer")));
  const response = await bed.post("/v1/messages", ask({ system: "a very secret prompt" }));
  const callId = response.headers.get("x-sluice-request-id") ?? "";
  await expect.poll(() => bed.traces.get("key:bed", callId)).toBeDefined();
  const trace = await bed.traces.get("key:bed", callId);
  expect(trace).not.toHaveProperty("body");
  expect(trace).not.toHaveProperty("headers");
  expect(JSON.stringify(trace)).not.toContain("very secret");
});

test("every call leaves one line in the log, without words of the prompt", async () => {
  const response = await bed.post("/v1/messages", ask({ system: "a very secret prompt" }));
  const callId = response.headers.get("x-sluice-request-id") ?? "none";
  const lines = bed.lines.filter((line) => line.includes(callId));
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ msg: "call", callId, keyId: "key:bed", status: 200, code: "ok" });
  expect(bed.lines.join("")).not.toContain("a very secret prompt");
});

test("keys are taken over while the gateway runs", async () => {
  await using own = await startGatewayBed();
  own.gateway.useKeys({ keys: [], oidc: [] });
  expect((await own.post("/v1/messages", ask())).status).toBe(401);
  own.gateway.useKeys(own.config);
  expect((await own.post("/v1/messages", ask())).status).toBe(200);
});

describe("a gateway that is told to stop", () => {
  test("finishes what runs, takes nothing new, and closes its connections", async () => {
    await using own = await startGatewayBed();
    const gate = Promise.withResolvers<void>();
    own.script.invoke = async (call, context) => {
      await gate.promise;
      return answerWhole(call, context);
    };
    const running = own.post("/v1/messages", ask());
    await expect.poll(() => own.calls.length).toBe(1);
    const drained = own.gateway.service.drain(new AbortController().signal);
    await expect(own.post("/v1/messages", ask())).rejects.toThrow();
    gate.resolve();
    expect((await running).status).toBe(200);
    await drained;
  });

  test("cancels what still runs when its time is up", async () => {
    await using own = await startGatewayBed();
    own.script.invoke = () => new Promise(() => undefined);
    const running = own.post("/v1/messages", ask());
    running.catch(() => undefined);
    await expect.poll(() => own.calls.length).toBe(1);
    await own.gateway.service.drain(AbortSignal.timeout(100));
    await expect(running).rejects.toThrow();
  });
});

describe("readiness", () => {
  test("is green once a worker was reached", async () => {
    await expect.poll(() => bed.gateway.service.ready()).toEqual([]);
  });

  test("is red while no worker has ever been reached", async () => {
    await using alone = await startGatewayBed({ workers: 0, dispatcher: false });
    expect(alone.gateway.service.ready()).toEqual(["no worker has been reached yet"]);
  });
});

describe("pages of other origins", () => {
  test("get nothing by default", async () => {
    const response = await fetch(`${bed.url}/v1/messages`, {
      method: "OPTIONS",
      headers: { origin: "https://app.example", "access-control-request-method": "POST" },
    });
    expect(response.status).toBe(401);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("may call from origins the config names", async () => {
    await using open = await startGatewayBed({ config: { server: { cors_origins: ["https://app.example"] } } });
    const preflight = (origin: string, more: Record<string, string> = {}): Promise<Response> =>
      fetch(`${open.url}/v1/messages`, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", ...more },
      });
    const allowed = await preflight("https://app.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-headers")).toContain("x-api-key");
    expect((await preflight("https://other.example")).status).toBe(401);
    const asked = "anthropic-workspace-id,authorization,user-agent,x-stainless-timeout";
    const wished = await preflight("https://app.example", { "access-control-request-headers": asked });
    expect(wished.headers.get("access-control-allow-headers")).toBe(asked);
    const response = await open.post("/v1/messages", ask(), { origin: "https://app.example" });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
    for (const name of ["request-id", "anthropic-workspace-id", "anthropic-ratelimit-output-tokens-reset"])
      expect(response.headers.get("access-control-expose-headers")).toContain(name);
  });
});
