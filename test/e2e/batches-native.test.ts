import type Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeEach, describe, expect, test } from "vitest";

import { startBatchingUpstream } from "../support/batching-upstream.ts";
import { get, post, sdk, type Endpoint } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { useStack } from "../support/use-stack.ts";

// A provider with `batch: native` runs the items as batches of its own; what it does not finish is finished by calls.

const model = "claude-opus-4-8";
const other = "claude-haiku-4-5";

const provider = await startBatchingUpstream();
afterAll(() => provider.close());
const stack = await useStack({
  upstreams: [provider.upstream],
  provider: { batch: "native", models: { [model]: "upstream-claude-opus" } },
  config: {
    // Serves one model item by item.
    providers: { plain: { type: "anthropic", base_url: provider.upstream.url, api_key: "plain" } },
    models: { [model]: { routes: ["one"] }, [other]: { routes: ["plain"] } },
  },
});
beforeEach(() => {
  provider.batches.length = 0;
  provider.endsAtOnce = true;
  provider.losesAnswers = false;
});

type Requests = Anthropic.Messages.BatchCreateParams.Request[];

function requestsOf(prompts: readonly string[], as = model): Requests {
  return prompts.map((content, at) => ({
    custom_id: `${as === model ? "n" : "o"}${at}`,
    params: { model: as, max_tokens: 10, messages: [{ role: "user", content }] },
  }));
}

const withKey = (key: string): Endpoint => ({ url: stack.url, key });

async function create(requests: Requests, client: Endpoint = stack): Promise<string> {
  return (await sdk(client).messages.batches.create({ requests })).id;
}

async function endOf(id: string, client: Endpoint = stack): Promise<Anthropic.Messages.MessageBatch> {
  return eventually(
    async () => {
      const batch = await sdk(client).messages.batches.retrieve(id);
      expect(batch.processing_status).toBe("ended");
      return batch;
    },
    { timeoutMs: 40_000, everyMs: 50 },
  );
}

async function textsOf(id: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { result } of await sdk(stack).messages.batches.results(id)) {
    const [block] = result.type === "succeeded" ? result.message.content : [];
    texts.push(block?.type === "text" ? block.text : result.type);
  }
  return texts.toSorted((a, b) => a.localeCompare(b));
}

test("items go there as one batch under ids of ours, with version, betas and the provider's own model", async () => {
  const requests = [...requestsOf(["a", "b", "c"]), ...requestsOf(["d"], other)];
  const created = await post(
    stack,
    { requests },
    {
      path: "/v1/messages/batches",
      headers: { "anthropic-beta": "x-1", "anthropic-version": "2026-10-21" },
    },
  );
  const { id } = created.json as { id: string };
  expect((await endOf(id)).request_counts).toMatchObject({ succeeded: 4, errored: 0 });
  expect(await textsOf(id)).toEqual(["batch: a", "batch: b", "batch: c", "call: d"]);
  expect(provider.batches).toHaveLength(1);
  const [there] = provider.batches;
  expect(there?.requests.map(({ params }) => params.model)).toEqual([
    "upstream-claude-opus",
    "upstream-claude-opus",
    "upstream-claude-opus",
  ]);
  for (const { custom_id: customId } of there?.requests ?? []) expect(customId).toMatch(/^call_[0-9a-z]{24}$/);
  const sent = provider.upstream.requests.filter(({ path }) => path === "/v1/messages/batches");
  expect(sent).toHaveLength(1);
  expect(sent[0]?.headers).toMatchObject({
    "anthropic-beta": "x-1",
    "anthropic-version": "2026-10-21",
    "x-api-key": "sim-1",
  });
});

test("what expired, was canceled or failed there is finished by calls; the caller's own error is its end", async () => {
  const before = provider.calls().length;
  const id = await create(requestsOf(["fine", "expired 1", "canceled 1", "errored 1", "invalid 1"]));
  expect((await endOf(id)).request_counts).toMatchObject({ succeeded: 4, errored: 1 });
  expect(await textsOf(id)).toEqual([
    "batch: fine",
    "call: canceled 1",
    "call: errored 1",
    "call: expired 1",
    "errored",
  ]);
  expect(provider.calls().slice(before)).toHaveLength(3);
});

test("a cancel is passed on, and what was not done is canceled", async () => {
  provider.endsAtOnce = false;
  const id = await create(requestsOf(["x", "y"]));
  await expect.poll(() => provider.batches.length).toBe(1);
  await sdk(stack).messages.batches.cancel(id);
  expect((await endOf(id)).request_counts).toMatchObject({ canceled: 2 });
  expect(provider.batches[0]?.wasCancelled).toBe(true);
});

test("a provider that will have no batch gets its items one by one", async () => {
  provider.refuseNext(404);
  const id = await create(requestsOf(["one", "two"]));
  expect((await endOf(id)).request_counts).toMatchObject({ succeeded: 2 });
  expect(await textsOf(id)).toEqual(["call: one", "call: two"]);
});

/** 12 tokens in and 7 out of Opus 4.8, at half price in a batch of the provider's own. */
const callUsd = (12 * 5 + 7 * 25) / 1e6;
const batchUsd = callUsd / 2;

interface Usage {
  readonly total: Readonly<Record<string, number>>;
  readonly budget: Readonly<Record<"spent_usd" | "held_usd", number>>;
}
const usageOf = async (client: Endpoint) => (await get(client, "/v1/usage")).json as Usage;

describe("a budget", () => {
  test("is held while the provider has the items, and pays the price for batches, or that of the calls that finish them", async () => {
    provider.endsAtOnce = false;
    const client = withKey("sk-sluice-jobs");
    const id = await create(requestsOf(["p1", "p2", "expired p3", "invalid p4"]), client);
    await expect.poll(() => provider.batches.length).toBe(1);
    const { budget } = await usageOf(client);
    // Four prompts of some 70 bytes, and 10 tokens of answer each.
    expect(budget.held_usd).toBeGreaterThan(4 * 125e-6);
    expect(budget.held_usd).toBeLessThan(4 * 300e-6);
    const [there] = provider.batches;
    if (there) there.status = "ended";
    expect((await endOf(id, client)).request_counts).toMatchObject({ succeeded: 3, errored: 1 });
    await eventually(async () => {
      const used = await usageOf(client);
      expect(used.budget.held_usd).toBe(0);
      expect(used.budget.spent_usd).toBeCloseTo(2 * batchUsd + callUsd, 9);
      expect(used.total).toMatchObject({ calls: 4, failed_calls: 1, input_tokens: 36 });
      expect(used.total["cost_usd"]).toBeCloseTo(2 * batchUsd + callUsd, 9);
    });
  });

  test("lets in as many items at a time as it has money for; those left when it is spent are billing errors", async () => {
    const client = withKey("sk-sluice-native");
    const before = provider.calls().length;
    const id = await create(requestsOf(["q1", "q2", "q3", "q4", "q5", "q6"]), client);
    const { request_counts: counts } = await endOf(id, client);
    const sent = provider.batches.map(({ requests }) => requests.length);
    expect(sent.reduce((sum, count) => sum + count, 0)).toBe(counts.succeeded);
    expect(sent.at(-1)).toBe(2);
    expect(counts).toMatchObject({ succeeded: 3, errored: 3 });
    expect(provider.calls()).toHaveLength(before);
    for await (const { result } of await sdk(client).messages.batches.results(id))
      if (result.type === "errored") expect(result.error.error.type).toBe("billing_error");
    const used = await usageOf(client);
    expect(used.budget.held_usd).toBe(0);
    expect(used.budget.spent_usd).toBeCloseTo(3 * batchUsd, 9);
    await eventually(async () => expect((await usageOf(client)).total).toMatchObject({ calls: 3, failed_calls: 0 }));
  }, 60_000);

  test("is given back what canceled items held", async () => {
    provider.endsAtOnce = false;
    const client = withKey("sk-sluice-jobs");
    const before = (await usageOf(client)).budget.spent_usd;
    const id = await create(requestsOf(["c1", "c2"]), client);
    await expect.poll(async () => (await usageOf(client)).budget.held_usd).toBeGreaterThan(0);
    await expect.poll(() => provider.batches.length).toBe(1);
    await sdk(client).messages.batches.cancel(id);
    expect((await endOf(id, client)).request_counts).toMatchObject({ canceled: 2 });
    await eventually(async () => {
      expect((await usageOf(client)).budget).toMatchObject({ held_usd: 0, spent_usd: before });
    });
  });
});

describe("nothing is sent twice", () => {
  test("when the answer to its creation was never heard: it is found among the provider's batches", async () => {
    provider.losesAnswers = true;
    const id = await create(requestsOf(["lost 1", "lost 2"]));
    await expect.poll(() => provider.batches.length).toBe(1);
    provider.losesAnswers = false;
    expect((await endOf(id)).request_counts).toMatchObject({ succeeded: 2 });
    expect(await textsOf(id)).toEqual(["batch: lost 1", "batch: lost 2"]);
    expect(provider.batches).toHaveLength(1);
  });

  test("when dispatcher and worker are killed while it runs, and its key pays once", async () => {
    const client = withKey("sk-sluice-jobs");
    const { budget } = await usageOf(client);
    provider.endsAtOnce = false;
    const before = provider.calls().length;
    const id = await create(requestsOf(["k1", "k2", "k3"]), client);
    await expect.poll(() => provider.batches.length).toBe(1);
    for (const name of ["dispatcher", "worker"]) {
      await stack.get(name).kill("SIGKILL");
      stack.get(name).start();
      await stack.get(name).ready();
    }
    const [there] = provider.batches;
    if (there) there.status = "ended";
    expect((await endOf(id, client)).request_counts).toMatchObject({ succeeded: 3 });
    expect(provider.batches).toHaveLength(1);
    expect(provider.calls()).toHaveLength(before);
    await eventually(async () => expect((await usageOf(client)).budget.held_usd).toBe(0));
    expect((await usageOf(client)).budget.spent_usd).toBeCloseTo(budget.spent_usd + 3 * batchUsd, 9);
  });
});
