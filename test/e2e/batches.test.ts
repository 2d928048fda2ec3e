import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type Anthropic from "@anthropic-ai/sdk";
import { BadRequestError, NotFoundError } from "@anthropic-ai/sdk";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { get, post, sdk, sdkV0 } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { startStack, type Stack } from "../support/stack.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";
import { useSimulator } from "../support/use-simulator.ts";
import { useStack } from "../support/use-stack.ts";

// Batches as callers see them: official clients in front, the simulator behind, the real processes between.

type BatchRequest = Anthropic.Messages.BatchCreateParams.Request;
type ResultLine = Anthropic.Messages.MessageBatchIndividualResponse;

const model = "claude-opus-4-8";
const other = "claude-haiku-4-5";
const batchesPath = "/v1/messages/batches";

const simulator = await useSimulator();
const routes = { routes: ["one"] };
const stack = await useStack({
  upstreams: [simulator],
  config: { models: { [model]: routes, [other]: routes } },
});
afterEach(() => expect.poll(() => simulator.inFlight).toBe(0));

function item(customId: string, content: string, more: object = {}): BatchRequest {
  return {
    custom_id: customId,
    params: { model, max_tokens: 100, messages: [{ role: "user", content }], ...more },
  };
}

async function ended(id: string, timeoutMs = 45_000): Promise<Anthropic.Messages.MessageBatch> {
  return eventually(
    async () => {
      const batch = await sdk(stack).messages.batches.retrieve(id);
      expect(batch.processing_status).toBe("ended");
      return batch;
    },
    { timeoutMs, everyMs: 50 },
  );
}

async function resultsOf(id: string): Promise<Map<string, ResultLine["result"]>> {
  const results = new Map<string, ResultLine["result"]>();
  for await (const line of await sdk(stack).messages.batches.results(id)) {
    expect(results.has(line.custom_id)).toBe(false);
    results.set(line.custom_id, line.result);
  }
  return results;
}

describe("a batch by the official SDK", () => {
  test("is created, polled, and its results are read", async () => {
    const client = sdk(stack);
    const created = await client.messages.batches.create({
      requests: [
        item("first", "one"),
        item("second", "two", { model: other }),
        item("tools", "use it", {
          tools: [{ name: "look", input_schema: { type: "object", properties: { city: { type: "string" } } } }],
          tool_choice: { type: "any" },
        }),
        item("thinks", "think", { max_tokens: 500, thinking: { type: "adaptive", display: "summarized" } }),
        item("sees", "x", {
          messages: [
            {
              role: "user",
              content: [
                { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
                { type: "text", text: "a picture" },
              ],
            },
          ],
        }),
      ],
    });
    expect(created).toMatchObject({
      type: "message_batch",
      processing_status: "in_progress",
      request_counts: { processing: 5, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
      ended_at: null,
      cancel_initiated_at: null,
      archived_at: null,
      results_url: null,
    });
    expect(created.id).toMatch(/^msgbatch_[0-9a-z]{24}$/);
    expect(Date.parse(created.expires_at) - Date.parse(created.created_at)).toBe(86_400_000);

    const batch = await ended(created.id);
    expect(batch).toMatchObject({
      request_counts: { processing: 0, succeeded: 5, errored: 0, canceled: 0, expired: 0 },
      progress: { processing: 0, succeeded: 5 },
      results_url: `${stack.url}${batchesPath}/${created.id}/results`,
    });
    const results = await resultsOf(created.id);
    expect(results.get("first")).toMatchObject({ message: { model, content: [{ text: "You said: one" }] } });
    expect(results.get("second")).toMatchObject({ message: { model: other, content: [{ text: "You said: two" }] } });
    expect(results.get("tools")).toMatchObject({ message: { stop_reason: "tool_use" } });
    expect(results.get("thinks")).toMatchObject({ message: { content: [{ type: "thinking" }, { type: "text" }] } });
    expect(results.get("sees")).toMatchObject({ type: "succeeded" });
  });

  test("works through the SDK 0.x too", async () => {
    const client = sdkV0(stack);
    const { id } = await client.beta.messages.batches.create({ requests: [item("old", "old one")] });
    await ended(id);
    const lines = [];
    for await (const line of await client.beta.messages.batches.results(id)) lines.push(line);
    expect(lines).toMatchObject([{ custom_id: "old", result: { type: "succeeded" } }]);
  });

  test("has an errored line with a full envelope for each request that cannot run, and results for the others", async () => {
    const bad = [
      item("streams", "x", { stream: true }),
      item("thread", "x", { thread: { type: "create" } }),
      item("speedy", "x", { speed: "fast" }),
      item("fallback", "x", { fallbacks: "default" }),
      item("empty", "x", { max_tokens: 0 }),
      item("unknown", "x", { model: "claude-nobody" }),
      { custom_id: "no-model", params: { max_tokens: 10, messages: [] } } as unknown as BatchRequest,
      item("refused", '[sim: 400 message="too odd"]'),
    ];
    const { id, request_counts: counts } = await sdk(stack).messages.batches.create({
      requests: [...bad, item("good", "fine")],
    });
    expect(counts).toMatchObject({ processing: 9, errored: 0 });
    expect((await ended(id)).request_counts).toEqual({
      processing: 0,
      succeeded: 1,
      errored: 8,
      canceled: 0,
      expired: 0,
    });
    const results = await resultsOf(id);
    for (const { custom_id: customId } of bad) {
      expect(results.get(customId), customId).toMatchObject({
        type: "errored",
        error: { type: "error", error: { type: expect.any(String), message: expect.any(String) } },
      });
      expect(results.get(customId)).toHaveProperty("error.request_id", expect.any(String));
    }
    expect(results.get("streams")).toMatchObject({ error: { error: { type: "invalid_request_error" } } });
    expect(results.get("unknown")).toMatchObject({ error: { error: { type: "not_found_error" } } });
    expect(results.get("no-model")).toMatchObject({ error: { error: { message: "model: Field required" } } });
    expect(results.get("refused")).toMatchObject({ error: { error: { message: "too odd" } } });
  });

  test("of nothing but bad requests has ended at once", async () => {
    const batch = await sdk(stack).messages.batches.create({ requests: [item("bad", "x", { stream: true })] });
    expect(batch.processing_status).toBe("ended");
    expect((await resultsOf(batch.id)).get("bad")).toMatchObject({ type: "errored" });
  });

  test("is cancelled midway: what ran has its result, the rest is cancelled", async () => {
    const client = sdk(stack);
    const requests = Array.from({ length: 1000 }, (_, at) => item(`c${at}`, `[sim: slow-first-byte=800ms] ${at}`));
    const { id } = await client.messages.batches.create({ requests });
    await expect.poll(() => simulator.inFlight).toBeGreaterThan(10);
    await expect(client.messages.batches.delete(id)).rejects.toThrow(BadRequestError);
    await expect(client.messages.batches.results(id)).rejects.toThrow(/No batch `results_url`/);
    const early = await get(stack, `${batchesPath}/${id}/results`);
    expect(early).toMatchObject({ status: 400, json: { error: { type: "invalid_request_error" } } });

    const cancelling = await client.messages.batches.cancel(id);
    expect(cancelling).toMatchObject({ processing_status: "canceling", request_counts: { processing: 1000 } });
    expect(cancelling.cancel_initiated_at).not.toBeNull();
    const { request_counts: counts } = await ended(id);
    expect(counts.succeeded).toBeGreaterThan(0);
    expect(counts.canceled).toBeGreaterThan(0);
    expect(counts.succeeded + counts.canceled).toBe(1000);
    const results = await resultsOf(id);
    expect(results.size).toBe(1000);
    expect([...results.values()].filter(({ type }) => type === "canceled")).toHaveLength(counts.canceled);
    expect((await client.messages.batches.cancel(id)).processing_status).toBe("ended");
  });

  test("is deleted, with its results", async () => {
    const client = sdk(stack);
    const { id } = await client.messages.batches.create({ requests: [item("gone", "soon")] });
    await ended(id);
    expect(await client.messages.batches.delete(id)).toEqual({ id, type: "message_batch_deleted" });
    await expect(client.messages.batches.retrieve(id)).rejects.toThrow(NotFoundError);
    expect((await get(stack, `${batchesPath}/${id}/results`)).status).toBe(404);
    const listed = [];
    for await (const batch of client.messages.batches.list()) listed.push(batch.id);
    expect(listed).not.toContain(id);
  });

  test("is listed newest first, page by page in both directions, to its own key only", async () => {
    const client = sdk({ url: stack.url, key: stack.otherKey });
    const ids: string[] = [];
    for (let at = 0; at < 5; at++)
      ids.unshift((await client.messages.batches.create({ requests: [item(`l${at}`, `list ${at}`)] })).id);
    const all = [];
    for await (const batch of client.messages.batches.list({ limit: 2 })) all.push(batch.id);
    expect(all).toEqual(ids);
    const first = await client.messages.batches.list({ limit: 2 });
    expect(first).toMatchObject({ has_more: true, first_id: ids[0], last_id: ids[1] });
    const last = await client.messages.batches.list({ limit: 3, after_id: ids[1] as string });
    expect(last).toMatchObject({ has_more: false, first_id: ids[2], last_id: ids[4] });
    const before = await client.messages.batches.list({ limit: 2, before_id: ids[3] as string });
    expect(before.data.map(({ id }) => id)).toEqual([ids[1], ids[2]]);
    expect(before.has_more).toBe(true);

    await expect(sdk(stack).messages.batches.retrieve(ids[0] as string)).rejects.toThrow(NotFoundError);
    await expect(sdk(stack).messages.batches.cancel(ids[0] as string)).rejects.toThrow(NotFoundError);
    await expect(sdk(stack).messages.batches.delete(ids[0] as string)).rejects.toThrow(NotFoundError);
    expect((await get(stack, `${batchesPath}/${ids[0]}/results`)).status).toBe(404);
    const foreign = await get(stack, `${batchesPath}?after_id=${ids[0]}`);
    expect(foreign).toMatchObject({ status: 400, json: { error: { type: "invalid_request_error" } } });
    for (const query of ["limit=0", "limit=1001", "limit=x", "after_id=a&before_id=b"])
      expect((await get(stack, `${batchesPath}?${query}`)).status, query).toBe(400);
  });
});

describe("the command line", () => {
  const run = async (...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    const env = { PATH: process.env["PATH"], SLUICE_URL: stack.url, SLUICE_KEY: stack.key };
    return new Promise((resolve) => {
      execFile(process.execPath, ["cli/main.ts", "batch", ...args], { env }, (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
      );
    });
  };

  test("submits a file, watches it to its end, and writes its results", async () => {
    const dir = await mkdtemp(join(tmpdir(), "sluice-cli-"));
    const [file, output] = [join(dir, "prompts.jsonl"), join(dir, "results.jsonl")];
    const lines = [{ custom_id: "p1", prompt: "from the shell" }, item("full", "a whole request")];
    await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const submitted = await run("submit", file, "--model", model, "--max-tokens", "50");
    expect(submitted).toMatchObject({ code: 0, stdout: expect.stringMatching(/^msgbatch_[0-9a-z]{24}\n$/) });
    const id = submitted.stdout.trim();
    expect(submitted.stderr).toContain("2 requests accepted.");
    expect(submitted.stderr).toContain(`${id} has ended: 2 succeeded.`);
    expect(await run("results", id, "-o", output)).toMatchObject({ code: 0 });
    const results = (await readFile(output, "utf8")).trim().split("\n");
    expect(
      results.map((line) => (JSON.parse(line) as ResultLine).custom_id).toSorted((a, b) => a.localeCompare(b)),
    ).toEqual(["full", "p1"]);
    await rm(dir, { recursive: true, force: true });
  });

  test("cancels a batch that runs, and says what has no answer", async () => {
    const requests = Array.from({ length: 300 }, (_, at) => item(`k${at}`, `[sim: slow-first-byte=1500ms] cli ${at}`));
    const { id } = await sdk(stack).messages.batches.create({ requests });
    const early = await run("results", id);
    expect([early.code, early.stderr]).toEqual([1, expect.stringContaining("has not ended yet")]);
    const cancelled = await run("cancel", id);
    expect([cancelled.code, cancelled.stderr]).toEqual([0, expect.stringContaining("is being canceled")]);
    const watched = await run("watch", id);
    expect([watched.code, watched.stderr]).toEqual([1, expect.stringMatching(/has ended: .*\d+ canceled\./)]);
    expect((await run("watch", "msgbatch_nobody")).code).toBe(1);
  });
});

describe("before a provider that answers as it is told", () => {
  let upstream: Upstream;
  let own: Stack;
  beforeAll(async () => {
    upstream = await startUpstream();
    const config = { models: { [model]: { routes: ["one"] } }, batches: { expire_after: "6s" } };
    own = await startStack({ upstreams: [upstream], config });
  });
  afterEach(() => upstream.clear());
  afterAll(async () => {
    await own?.stop();
    await upstream?.close();
  });

  test("items go out with the version and betas of the call that made the batch, and their bytes as they came", async () => {
    const params = `{"messages":[{"content":"bytes \\u0041","role":"user"}],  "max_tokens":50, "model":"${model}"}`;
    const created = await post(own, `{ "requests" : [ {"params": ${params},"custom_id":"b"} ] }`, {
      path: batchesPath,
      headers: { "anthropic-beta": "output-300k-2026-03-24,x-1", "anthropic-version": "2026-10-21" },
    });
    expect(created.status).toBe(200);
    await expect.poll(() => upstream.requests.length).toBe(1);
    const [request] = upstream.requests;
    expect(request?.body.toString()).toBe(params);
    expect(request?.headers).toMatchObject({
      "anthropic-beta": "output-300k-2026-03-24,x-1",
      "anthropic-version": "2026-10-21",
      "x-api-key": "sim-1",
    });
    expect(request?.path).toBe("/v1/messages");
  });

  test("what has no answer when the time is up has expired, to the provider's socket; what has one is kept", async () => {
    upstream.onRequest((exchange) => (exchange.request.prompt === "quick" ? exchange.message("here") : undefined));
    const batches = sdk(own).messages.batches;
    const made = await batches.create({ requests: [item("in-time", "quick"), item("late", "never")] });
    expect(Date.parse(made.expires_at) - Date.parse(made.created_at)).toBe(6000);
    await expect.poll(async () => (await batches.retrieve(made.id)).processing_status).toBe("ended");
    const ended = await batches.retrieve(made.id);
    expect(ended.request_counts).toEqual({ processing: 0, succeeded: 1, errored: 0, canceled: 0, expired: 1 });
    expect(Date.parse(ended.ended_at ?? "")).toBeGreaterThanOrEqual(Date.parse(made.expires_at));
    const results = new Map<string, ResultLine["result"]>();
    for await (const line of await batches.results(made.id)) results.set(line.custom_id, line.result);
    expect(results.get("late")).toEqual({ type: "expired" });
    expect(results.get("in-time")).toMatchObject({ message: { content: [{ text: "here" }] } });
    expect(await upstream.with("never")[0]?.closed).toBe(false);
  });
});

test("a limit or an overloaded provider delays items and does not fail them", async () => {
  const requests = Array.from({ length: 40 }, (_, at) =>
    item(
      `r${at}`,
      at === 20 ? "[sim: times=3 529] busy" : `[sim: ${at < 5 ? "times=1 429 retry-after-ms=300" : ""}] ${at}`,
    ),
  );
  const { id } = await sdk(stack).messages.batches.create({ requests });
  expect((await ended(id)).request_counts.succeeded).toBe(40);
});

test("under a prefix, the results' address keeps it", async () => {
  const endpoint = { url: `${stack.url}/anthropic`, key: stack.key };
  const { id } = await sdk(endpoint).messages.batches.create({ requests: [item("p", "prefixed")] });
  await ended(id);
  const batch = await sdk(endpoint).messages.batches.retrieve(id);
  expect(batch.results_url).toBe(`${stack.url}/anthropic${batchesPath}/${id}/results`);
  const untrusted = await get(stack, `${batchesPath}/${id}`, {
    "x-forwarded-proto": "https",
    "x-forwarded-host": "evil.example",
  });
  expect(untrusted.json).toMatchObject({ results_url: `${stack.url}${batchesPath}/${id}/results` });
});

test("a Redis that is killed and starts again from its append-only file loses no item and doubles none", async () => {
  await using redis = await startRedis({ appendOnly: true });
  await using own = await startStack({
    upstreams: [simulator],
    redisUrl: redis.url,
    config: { models: { [model]: { routes: ["one"] } } },
  });
  const requests = Array.from({ length: 300 }, (_, at) => item(`a${at}`, `[sim: slow-first-byte=150ms] aof ${at}`));
  const batches = sdk(own, { maxRetries: 3 }).messages.batches;
  const { id } = await batches.create({ requests });
  for (let kill = 0; kill < 2; kill++) {
    await expect.poll(() => simulator.inFlight).toBeGreaterThan(0);
    await redis.kill();
    await redis.start();
  }
  const batch = await eventually(
    async () => {
      const found = await batches.retrieve(id);
      expect(found.processing_status).toBe("ended");
      return found;
    },
    { timeoutMs: 40_000, everyMs: 100 },
  );
  expect(batch.request_counts).toMatchObject({ succeeded: 300, errored: 0 });
  const seen = new Set<string>();
  for await (const line of await batches.results(id)) seen.add(line.custom_id);
  expect(seen.size).toBe(300);
  const { json } = await get({ url: simulator.url, key: "sim-1" }, "/__sim/requests");
  const asked = Object.entries((json as { by_prompt: Record<string, number> }).by_prompt).filter(([prompt]) =>
    prompt.includes("aof"),
  );
  for (const [prompt, times] of asked) expect(times, prompt).toBe(1);
});
