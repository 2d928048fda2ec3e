import type Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { startBatchingUpstream, type BatchingUpstream } from "../support/batching-upstream.ts";
import { post, sdk } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { startStack, type Stack } from "../support/stack.ts";

// A provider with `batch: native` runs the items as batches of its own; what it does not finish is finished by calls.

const model = "claude-opus-4-8";
const other = "claude-haiku-4-5";

let provider: BatchingUpstream;
let stack: Stack;

beforeAll(async () => {
  provider = await startBatchingUpstream();
  stack = await startStack({
    upstreams: [provider.upstream],
    provider: { batch: "native", models: { [model]: "upstream-opus" } },
    config: {
      // Serves one model item by item.
      providers: { plain: { type: "anthropic", base_url: provider.upstream.url, api_key: "plain" } },
      models: { [model]: { routes: ["one"] }, [other]: { routes: ["plain"] } },
    },
  });
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => void process.stderr.write(`${stack.log().slice(-6000)}\n`));
  provider.batches.length = 0;
  provider.endsAtOnce = true;
  provider.losesAnswers = false;
});
afterAll(async () => {
  await stack?.stop();
  await provider?.close();
});

type Requests = Anthropic.Messages.BatchCreateParams.Request[];

function requestsOf(prompts: readonly string[], as = model): Requests {
  return prompts.map((content, at) => ({
    custom_id: `${as === model ? "n" : "o"}${at}`,
    params: { model: as, max_tokens: 10, messages: [{ role: "user", content }] },
  }));
}

async function create(requests: Requests): Promise<string> {
  return (await sdk(stack).messages.batches.create({ requests })).id;
}

async function endOf(id: string): Promise<Anthropic.Messages.MessageBatch> {
  return eventually(
    async () => {
      const batch = await sdk(stack).messages.batches.retrieve(id);
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
    "upstream-opus",
    "upstream-opus",
    "upstream-opus",
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

  test("when dispatcher and worker are killed while it runs", async () => {
    provider.endsAtOnce = false;
    const before = provider.calls().length;
    const id = await create(requestsOf(["k1", "k2", "k3"]));
    await expect.poll(() => provider.batches.length).toBe(1);
    for (const name of ["dispatcher", "worker"]) {
      await stack.get(name).kill("SIGKILL");
      stack.get(name).start();
      await stack.get(name).ready();
    }
    const [there] = provider.batches;
    if (there) there.status = "ended";
    expect((await endOf(id)).request_counts).toMatchObject({ succeeded: 3 });
    expect(provider.batches).toHaveLength(1);
    expect(provider.calls()).toHaveLength(before);
  });
});
