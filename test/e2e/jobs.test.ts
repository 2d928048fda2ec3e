import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeEach, describe, expect, test } from "vitest";

import { connectRedis } from "#shared/store/connect-redis.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { bestOf } from "../support/best-of.ts";
import { get, post, prompt, type Answered, type Endpoint } from "../support/clients.ts";
import { startRedis } from "../support/redis-process.ts";
import type { Exchange } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// Asynchronous calls, on a Redis of their own that keeps its data, under processes that are killed.

/** How long a call that is no job goes on for nobody. */
const lingerMs = 1000;

const redis = await startRedis({ appendOnly: true });
const database = connectRedis(redis.url, "command", { logger: createLogger({ name: "test", level: "silent" }) });
afterAll(async () => {
  await database.close();
  await redis[Symbol.asyncDispose]();
});
const upstream = await useUpstream();
const stack = await useStack({
  upstreams: [upstream],
  redisUrl: redis.url,
  gateways: 2,
  config: { queue: { linger: `${lingerMs}ms`, lock: "5s" } },
});
// Redis, too, may just have come back.
beforeEach(() => Promise.all(stack.processes.map((process) => process.ready())));

const later = { prefer: "respond-async" };

interface Job {
  readonly id: string;
  readonly status: string;
  readonly request_id: string;
  readonly created_at: string;
  readonly expires_at: string;
}

const jobOf = ({ json }: Answered): Job => json as Job;

async function submit(text: string, headers: Readonly<Record<string, string>> = {}, more: object = {}): Promise<Job> {
  const answer = await post(stack, prompt(text, more), { headers: { ...later, ...headers } });
  expect(answer.status).toBe(202);
  return jobOf(answer);
}

/** Asks until the job has its answer, over the gateway that is there. */
async function collect(id: string, endpoint: Endpoint = stack, forMs = 60_000): Promise<Answered> {
  const giveUpAt = performance.now() + forMs;
  for (;;) {
    const answer = await get(endpoint, `/v1/jobs/${id}?wait=5`).catch(() => undefined);
    if (answer && answer.status !== 202 && answer.status !== 529) return answer;
    if (performance.now() > giveUpAt) throw new Error(`no answer: ${answer?.text}`);
    await sleep(100);
  }
}

/** Where it is written who waits for the outcome of a call. */
const waitLists = (callId: string): Promise<string[]> => database.client.keys(`*:callers:${callId}`);

/** Resolves when so many wait for the outcome of this call, or of any that nobody waited for before. */
async function waitedFor(callId: string, callers: number, before: readonly string[] = []): Promise<void> {
  await expect
    .poll(async () => {
      const lists = (await waitLists(callId)).filter((list) => !before.includes(list));
      const sizes = await Promise.all(lists.map((list) => database.client.zcard(list)));
      // One member stands for the list itself.
      return Math.max(0, ...sizes) - 1;
    })
    .toBeGreaterThanOrEqual(callers);
}

/** For both gateways, and for this test's own connection. */
async function redisIsBack(): Promise<void> {
  for (const gateway of [stack, stack.other])
    await expect.poll(async () => (await get(gateway, "/v1/jobs/job_none")).status).toBe(404);
  await expect.poll(() => waitLists("none").catch(() => "away")).toEqual([]);
}

function holdAnswers(): { readonly held: Exchange[]; release(): void } {
  const held: Exchange[] = [];
  upstream.onRequest((exchange) => void held.push(exchange));
  return {
    held,
    release: () => {
      upstream.onRequest(undefined);
      for (const exchange of held.splice(0)) exchange.message(`echo: ${exchange.request.prompt}`);
    },
  };
}

describe("Prefer: respond-async", () => {
  test("answers 202 with a job, where to ask, and what was applied", async () => {
    const { held, release } = holdAnswers();
    const before = Date.now();
    const answer = await post(stack, prompt("later"), { headers: later, path: "/anthropic/v1/messages" });
    expect(answer.status).toBe(202);
    const job = jobOf(answer);
    expect(job).toMatchObject({
      id: expect.stringMatching(/^job_[0-9a-z]{24}$/) as unknown,
      type: "message_job",
      status: expect.stringMatching(/^(queued|running)$/) as unknown,
      operation: "messages",
      model: "claude-opus-4-8",
      ended_at: null,
      request_id: answer.headers.get("x-sluice-request-id"),
    });
    expect(Date.parse(job.created_at)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(job.expires_at) - Date.parse(job.created_at)).toBe(86_400_000);
    expect(answer.headers.get("location")).toBe(`/anthropic/v1/jobs/${job.id}`);
    expect(answer.headers.get("preference-applied")).toBe("respond-async");
    await expect.poll(() => held.length).toBe(1);
    await expect.poll(async () => jobOf(await get(stack, `/v1/jobs/${job.id}`)).status).toBe("running");
    release();
    expect((await collect(job.id)).text).toContain("echo: later");
  });

  test("the job's answer is the synchronous one, headers too, from any gateway and as often as one asks", async () => {
    const synchronous = await post(stack, prompt("same"));
    const { id, request_id: callId } = await submit("same");
    const asynchronous = await collect(id, stack.other);
    expect(asynchronous.status).toBe(200);
    const withoutId = ({ text }: Answered): string => text.replace(/"msg_[^"]*"/, "");
    expect(withoutId(asynchronous)).toBe(withoutId(synchronous));
    for (const name of ["content-type", "x-sluice-provider", "x-sluice-model", "x-sluice-attempts"])
      expect(asynchronous.headers.get(name)).toBe(synchronous.headers.get(name));
    expect(asynchronous.headers.get("request-id")).toMatch(/^req_upstream_/);
    expect(asynchronous.headers.get("x-sluice-request-id")).toBe(callId);
    expect(asynchronous.headers.get("x-sluice-job-status")).toBe("succeeded");
    expect((await collect(id)).bytes.equals(asynchronous.bytes)).toBe(true);
  });

  test("an error is the synchronous one too", async () => {
    upstream.onRequest((exchange) => exchange.error(400, { message: "max_tokens: too many" }));
    const synchronous = await post(stack, prompt("wrong"));
    const { id } = await submit("wrong");
    const asynchronous = await collect(id);
    expect(asynchronous.status).toBe(400);
    expect(asynchronous.json).toMatchObject({ error: (synchronous.json as { error: unknown }).error as object });
    expect(asynchronous.headers.get("x-sluice-job-status")).toBe("failed");
  });

  test("a body that is wrong is refused at once, and no job is made", async () => {
    const before = (await get(stack, "/v1/jobs?limit=1")).json;
    const refused = await post(stack, { model: "claude-opus-4-8", messages: [] }, { headers: later });
    expect(refused.status).toBe(400);
    const streamed = await post(stack, prompt("stream", { stream: true }), { headers: later });
    expect(streamed.status).toBe(400);
    expect(streamed.text).toContain("prefer: ");
    expect((await get(stack, "/v1/jobs?limit=1")).json).toEqual(before);
    expect(upstream.requests).toHaveLength(0);
  });

  test("counts and large bodies may come later too", async () => {
    const counted = await post(stack, prompt("12345"), { headers: later, path: "/v1/messages/count_tokens" });
    expect(counted.status).toBe(202);
    expect((await collect(jobOf(counted).id)).json).toEqual({ input_tokens: 5 });
    const large = "x".repeat(300_000);
    const { id } = await submit(large);
    expect((await collect(id)).text).toContain(`echo: ${large}`);
  });

  test("leaves a trace and one line in the dispatcher's log", async () => {
    const { id, request_id: callId } = await submit("traced");
    await collect(id);
    await expect
      .poll(async () => (await get(stack, `/v1/requests/${callId}`)).json)
      .toMatchObject({ id: callId, status: 200, code: "ok", attempts: [{ provider: "one", status: 200 }] });
    const facts = '"provider":"one","attempts":1,"reason":"ok","inputTokens":12,"outputTokens":7,"costUsd":0.000235';
    const line = new RegExp(`dispatcher \\| .*"callId":"${callId}".*${facts}.*"msg":"job"`);
    await expect.poll(() => stack.log()).toMatch(line);
    expect(stack.log()).not.toContain("echo: traced");
  });
});

describe("Prefer: wait", () => {
  test("answers synchronously when the call is done by then", async () => {
    const answer = await post(stack, prompt("quick"), { headers: { prefer: "wait=20" } });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain("echo: quick");
    expect(answer.headers.get("preference-applied")).toBe("wait=20");
    expect(answer.headers.get("x-sluice-job-id")).toMatch(/^job_/);
  });

  test("else 202, and the call goes on", async () => {
    const { held, release } = holdAnswers();
    const askedAt = performance.now();
    const answer = await post(stack, prompt("slow"), { headers: { prefer: "respond-async, wait=1" } });
    expect(answer.status).toBe(202);
    expect(performance.now() - askedAt).toBeGreaterThan(950);
    expect(performance.now() - askedAt).toBeLessThan(20_000);
    await expect.poll(() => held.length).toBe(1);
    release();
    expect((await collect(jobOf(answer).id)).text).toContain("echo: slow");
  });

  test("a caller that leaves while it waits leaves the job alone", async () => {
    const { held, release } = holdAnswers();
    const leave = new AbortController();
    const headers = { prefer: "wait=20", "idempotency-key": randomUUID() };
    const call = post(stack, prompt("left"), { headers, signal: leave.signal }).catch(() => "left");
    await expect.poll(() => held.length).toBe(1);
    leave.abort();
    expect(await call).toBe("left");
    await sleep(2 * lingerMs);
    release();
    const answer = await post(stack, prompt("left"), { headers });
    expect(answer.text).toContain("echo: left");
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("GET /v1/jobs/{id}", () => {
  test("with ?wait answers as soon as there is an answer, at any gateway", async () => {
    const ask = async (): Promise<number> => {
      const { held, release } = holdAnswers();
      const { id, request_id: callId } = await submit("polled");
      await expect.poll(() => held.length).toBe(1);
      const polls = Promise.all([
        get(stack, `/v1/jobs/${id}?wait=50`),
        get(stack, `/v1/jobs/${id}?wait=50`),
        get(stack.other, `/v1/jobs/${id}?wait=50`),
      ]);
      await waitedFor(callId, 3);
      const releasedAt = performance.now();
      release();
      for (const { status, text } of await polls) expect([status, text.includes("echo: polled")]).toEqual([200, true]);
      return performance.now() - releasedAt;
    };
    expect(await bestOf(3, ask, 1000)).toBeLessThan(1000);
  });

  test("of another key, of no job, with a wait that is none", async () => {
    const { id } = await submit("mine");
    const theirs = { ...stack, key: stack.otherKey };
    for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}?wait=1`]) {
      const answer = await get(theirs, path);
      expect(answer.status).toBe(404);
      expect(answer.json).toMatchObject({ type: "error", error: { type: "not_found_error" } });
    }
    expect((await post(theirs, {}, { path: `/v1/jobs/${id}/cancel` })).status).toBe(404);
    expect((await get(stack, "/v1/jobs/job_nothing")).status).toBe(404);
    expect((await get(stack, `/v1/jobs/${id}?wait=soon`)).status).toBe(400);
    expect((await get(stack, `/v1/jobs/${id}?wait=-1`)).status).toBe(400);
    const list = (await get(theirs, "/v1/jobs")).json as { data: unknown[] };
    expect(list.data).toEqual([]);
    // What still ran would be among the calls that the next test holds.
    await collect(id);
  });

  test("the list is the key's own, newest first, by pages", async () => {
    const ids: string[] = [];
    for (const text of ["one", "two", "three"]) ids.unshift((await submit(text)).id);
    const first = (await get(stack, "/v1/jobs?limit=2")).json as { data: Job[]; has_more: boolean; last_id: string };
    expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect(first.has_more).toBe(true);
    const second = (await get(stack, `/v1/jobs?limit=2&after_id=${first.last_id}`)).json as { data: Job[] };
    expect(second.data[0]?.id).toBe(ids[2]);
    for (const id of ids) await collect(id);
  });
});

describe("cancel", () => {
  const cancel = (id: string): Promise<Answered> => post(stack, {}, { path: `/v1/jobs/${id}/cancel` });

  test("ends a running job, to the provider's socket", async () => {
    const { held } = holdAnswers();
    const { id } = await submit("running");
    await expect.poll(() => held.length).toBe(1);
    const answer = await cancel(id);
    expect(answer.status).toBe(200);
    expect(jobOf(answer)).toMatchObject({ id, type: "message_job", status: "canceled" });
    expect(await held[0]?.request.closed).toBe(false);
    const ended = await get(stack.other, `/v1/jobs/${id}?wait=5`);
    expect(ended.status).toBe(409);
    expect(ended.json).toMatchObject({ type: "error", error: { type: "conflict_error" } });
    expect(ended.headers.get("x-should-retry")).toBe("false");
    expect(ended.headers.get("x-sluice-job-status")).toBe("canceled");
    expect(jobOf(await cancel(id)).status).toBe("canceled");
  });

  test("takes one out of the queue, and nobody is asked", async () => {
    await stack.get("dispatcher").kill("SIGKILL");
    const { id } = await submit("queued");
    expect(jobOf(await cancel(id))).toMatchObject({ id, status: "canceled" });
    expect((await get(stack.other, `/v1/jobs/${id}?wait=5`)).status).toBe(409);
    stack.get("dispatcher").start();
    await collect((await submit("behind it")).id);
    expect(upstream.requests.map(({ prompt: asked }) => asked)).toEqual(["behind it"]);
  });

  test("takes one out that is parked until a limit resets", async () => {
    const parked = async (): Promise<unknown> =>
      ((await get(stack, "/v1/limits")).json as { lanes: { background: { parked: number } } }).lanes.background.parked;
    upstream.next((exchange) => exchange.error(429, { headers: { "retry-after": "600" } }));
    const { id } = await submit("parked", {}, { model: "claude-haiku-4-5" });
    await expect.poll(parked).toBe(1);
    expect(jobOf(await get(stack, `/v1/jobs/${id}`)).status).toBe("queued");
    expect(jobOf(await cancel(id)).status).toBe("canceled");
    expect((await get(stack.other, `/v1/jobs/${id}`)).status).toBe(409);
    await expect.poll(parked).toBe(0);
    expect(upstream.requests).toHaveLength(1);
  });

  test("wakes those who wait", async () => {
    const { held } = holdAnswers();
    const { id, request_id: callId } = await submit("waited for");
    await expect.poll(() => held.length).toBe(1);
    const poll = get(stack.other, `/v1/jobs/${id}?wait=50`);
    await waitedFor(callId, 1);
    await cancel(id);
    expect((await poll).status).toBe(409);
  });

  test("of one that is done changes nothing", async () => {
    const { id } = await submit("done");
    await collect(id);
    expect(jobOf(await cancel(id)).status).toBe("succeeded");
    expect((await get(stack, `/v1/jobs/${id}`)).text).toContain("echo: done");
  });
});

describe("an idempotency key on a job", () => {
  test("gives the same job, running or done, or waits for it without the preference", async () => {
    const { held, release } = holdAnswers();
    const headers = { ...later, "idempotency-key": randomUUID() };
    const first = await submit("once", headers);
    await expect.poll(() => held.length).toBe(1);
    const again = await post(stack.other, prompt("once"), { headers });
    expect(again.status).toBe(202);
    expect(jobOf(again).id).toBe(first.id);
    const waiting = post(stack, prompt("once"), { headers: { "idempotency-key": headers["idempotency-key"] } });
    await waitedFor(first.request_id, 1);
    release();
    expect((await waiting).text).toContain("echo: once");
    const done = await post(stack.other, prompt("once"), { headers });
    expect(done.status).toBe(200);
    expect(done.text).toContain("echo: once");
    expect(upstream.requests).toHaveLength(1);
    const changed = await post(stack, prompt("twice"), { headers });
    expect(changed.status).toBe(422);
  });
});

describe("a job survives", () => {
  test.each(["gateway-1", "dispatcher", "worker"] as const)("%s killed while it runs", async (name) => {
    const { held, release } = holdAnswers();
    const ids = await Promise.all(Array.from({ length: 6 }, async (_, index) => (await submit(`${name} ${index}`)).id));
    await expect.poll(() => held.length).toBe(6);
    await stack.get(name).kill("SIGKILL");
    if (name !== "gateway-1") stack.get(name).start();
    if (name !== "worker") await sleep(500);
    release();
    for (const [index, id] of ids.entries()) {
      const answer = await collect(id, stack.other);
      expect(answer.status).toBe(200);
      expect(answer.text).toContain(`echo: ${name} ${index}`);
      expect(upstream.with(`${name} ${index}`).length).toBeLessThanOrEqual(name === "worker" ? 2 : 1);
    }
  });

  test("all processes killed before it ran", async () => {
    await stack.get("dispatcher").kill("SIGKILL");
    const { id } = await submit("patient");
    expect(jobOf(await get(stack, `/v1/jobs/${id}`)).status).toBe("queued");
    await Promise.all(stack.processes.filter(({ running }) => running).map((one) => one.kill("SIGKILL")));
    for (const process of stack.processes) process.start();
    await Promise.all(stack.processes.map((process) => process.ready()));
    expect((await collect(id)).text).toContain("echo: patient");
    expect(upstream.requests).toHaveLength(1);
  });

  test("Redis restarted while it runs, and while it is asked for", async () => {
    const { held, release } = holdAnswers();
    const { id, request_id: callId } = await submit("restart");
    await expect.poll(() => held.length).toBe(1);
    const poll = get(stack, `/v1/jobs/${id}?wait=50`);
    await waitedFor(callId, 1);
    await redis.kill();
    const away = await post(stack, prompt("no job now"), { headers: later });
    expect(away.status).toBe(529);
    expect(away.json).toMatchObject({ error: { type: "overloaded_error" } });
    expect((await get(stack, `/v1/jobs/${id}`)).status).toBe(529);
    release();
    await sleep(500);
    await redis.start();
    expect((await poll).text).toContain("echo: restart");
    expect((await collect(id, stack.other)).text).toContain("echo: restart");
    expect(upstream.with("restart")).toHaveLength(1);
    await redisIsBack();
  });

  test("Redis restarted, and so does a call whose answer two wait for", async () => {
    const { held, release } = holdAnswers();
    const headers = { "idempotency-key": randomUUID() };
    const before = await waitLists("*");
    const first = post(stack, prompt("shared"), { headers });
    await expect.poll(() => held.length).toBe(1);
    const second = post(stack.other, prompt("shared"), { headers });
    await waitedFor("*", 2, before);
    await redis.kill();
    await sleep(300);
    await redis.start();
    await sleep(1000);
    release();
    for (const { status, text } of await Promise.all([first, second]))
      expect([status, text.includes("echo: shared")]).toEqual([200, true]);
    expect(upstream.with("shared")).toHaveLength(1);
    await redisIsBack();
  });

  test("Redis restarted while it waits to be run", async () => {
    await stack.get("dispatcher").kill("SIGKILL");
    const { id } = await submit("kept");
    await redis.kill();
    await redis.start();
    stack.get("dispatcher").start();
    expect((await collect(id)).text).toContain("echo: kept");
    expect(upstream.requests).toHaveLength(1);
    // One that is told to end while it still loads ends by the signal, not with 0.
    await stack.get("dispatcher").ready();
  });
});
