import { describe, expect, test } from "vitest";

import { get, post, prompt, sdk, type Endpoint } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// What is spent, counted by the real processes: whole answers and streams by gateways, jobs by the dispatcher.

const upstream = await useUpstream();
const stack = await useStack({ upstreams: [upstream], gateways: 2 });

const withKey = (key: string, gateway = 0): Endpoint => ({ url: stack.urls[gateway] ?? "", key });

interface Usage {
  readonly data: readonly Readonly<Record<string, unknown>>[];
  readonly total: Readonly<Record<string, number>>;
  readonly budget: Readonly<Record<string, number>> | null;
}

async function usageOf(key: string, query = ""): Promise<Usage> {
  return (await get(withKey(key, 1), `/v1/usage${query}`)).json as Usage;
}

/** 12 tokens in and 7 out, of Opus 4.8. */
const callUsd = (12 * 5 + 7 * 25) / 1e6;

async function runJob(endpoint: Endpoint, text: string) {
  const made = await post(endpoint, prompt(text), { headers: { prefer: "respond-async" } });
  // It was done by then.
  if (made.status === 200) return made;
  expect(made.status).toBe(202);
  const { id } = made.json as { readonly id: string };
  return eventually(async () => {
    const answer = await get(endpoint, `/v1/jobs/${id}?wait=5`);
    expect(answer.status).toBe(200);
    return answer;
  });
}

test("whole answers, streams and jobs are counted once each, with what they cost", async () => {
  const endpoint = withKey(stack.key);
  const whole = await post(endpoint, prompt("whole"));
  expect(Number(whole.headers.get("x-sluice-cost-usd"))).toBeCloseTo(callUsd);
  const streamed = await post(endpoint, prompt("streamed", { stream: true }));
  expect(streamed.status).toBe(200);
  const job = await runJob(endpoint, "later");
  expect(Number(job.headers.get("x-sluice-cost-usd"))).toBeCloseTo(callUsd);
  const trace = await get(endpoint, `/v1/requests/${job.headers.get("x-sluice-job-id")?.replace("job_", "call_")}`);
  expect(trace.json).toMatchObject({ cost: { usd: callUsd, output_usd: (7 * 25) / 1e6 } });
  const today = new Date().toISOString().slice(0, 10);
  await eventually(async () => {
    const { data, total } = await usageOf(stack.key, "?group_by=day,model,provider");
    expect(data).toEqual([
      expect.objectContaining({ model: "claude-opus-4-8", provider: "one", day: today, calls: 3 }),
    ]);
    expect(total).toMatchObject({ input_tokens: 36, output_tokens: 21, cache_read_input_tokens: 0 });
    expect(total["cost_usd"]).toBeCloseTo(3 * callUsd);
  });
  const { data } = await usageOf("sk-sluice-admin", "?group_by=key");
  expect(data.find(({ key }) => key === "key:test")).toMatchObject({ calls: 3 });
  expect((await usageOf(stack.otherKey)).total).toMatchObject({ calls: 0 });
});

describe("a budget", () => {
  test("is spent by whole answers, streams and jobs alike, over all gateways, and then 402", async () => {
    const key = "sk-sluice-budgeted";
    const spent = async (): Promise<number | undefined> => (await usageOf(key)).budget?.["spent_usd"];
    const short = { max_tokens: 8 };
    expect((await post(withKey(key), prompt("one", short))).status).toBe(200);
    await eventually(async () => expect(await spent()).toBeCloseTo(callUsd));
    expect((await post(withKey(key, 1), prompt("two", { ...short, stream: true }))).status).toBe(200);
    await eventually(async () => expect(await spent()).toBeCloseTo(2 * callUsd));
    await runJob(withKey(key), "three");
    await eventually(async () => expect(await spent()).toBeCloseTo(3 * callUsd));
    // Whatever is asked at once, it is let in only while money is left.
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => post(withKey(key, index % 2), prompt(`at once ${index}`))),
    );
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 402]));
    await eventually(async () => {
      expect((await post(withKey(key), prompt("more", short))).headers.get("x-should-retry")).toBe("false");
    });
    const job = await post(withKey(key), prompt("later"), { headers: { prefer: "respond-async" } });
    expect(job.json).toMatchObject({ type: "error", error: { type: "billing_error" } });
    const { budget, total } = await usageOf(key);
    expect(budget?.["held_usd"]).toBe(0);
    // Overspent by less than one call: those in flight had held what they might cost.
    expect(budget?.["spent_usd"]).toBeLessThan(0.001 + callUsd);
    expect(upstream.requests.length * callUsd).toBeCloseTo(budget?.["spent_usd"] ?? 0);
    await eventually(async () => expect((await usageOf(key)).total["calls"]).toBe(upstream.requests.length));
    expect(total["failed_calls"]).toBe(0);
  });
});

test("a batch under a budget ends part-way: what ran is paid, the rest are billing errors", async () => {
  const endpoint = withKey("sk-sluice-batched");
  const client = sdk(endpoint);
  const requests = Array.from({ length: 60 }, (_, at) => ({
    custom_id: `b${at}`,
    params: { model: "claude-opus-4-8", max_tokens: 8, messages: [{ role: "user" as const, content: `batch ${at}` }] },
  }));
  const { id } = await client.messages.batches.create({ requests });
  const counts = await eventually(
    async () => {
      const batch = await client.messages.batches.retrieve(id);
      expect(batch.processing_status).toBe("ended");
      return batch.request_counts;
    },
    { timeoutMs: 30_000 },
  );
  const errors: unknown[] = [];
  for await (const { result } of await client.messages.batches.results(id))
    if (result.type === "errored") errors.push(result.error.error);
  expect(counts).toMatchObject({ succeeded: upstream.requests.length, errored: errors.length, expired: 0 });
  for (const error of errors)
    expect(error).toMatchObject({ type: "billing_error", message: expect.stringContaining("budget of $0.001 a day") });
  const spentUsd = counts.succeeded * callUsd;
  await eventually(
    async () => {
      const { budget, total } = await usageOf(endpoint.key);
      expect(budget?.["spent_usd"]).toBeCloseTo(spentUsd);
      expect(budget?.["held_usd"]).toBe(0);
      // Refused items are not counted.
      expect(total).toMatchObject({ calls: counts.succeeded, failed_calls: 0 });
      expect(total["cost_usd"]).toBeCloseTo(spentUsd);
    },
    { timeoutMs: 10_000 },
  );
  // What the items in flight may have held in all was no more than one above the budget.
  expect(spentUsd).toBeGreaterThanOrEqual(0.001);
  expect(spentUsd).toBeLessThan(0.001 + callUsd);
  await expect(client.messages.batches.create({ requests })).rejects.toMatchObject({
    status: 402,
    error: { error: { type: "billing_error" } },
  });
}, 60_000);

test("what a gateway has counted is written before it ends", async () => {
  const before = (await usageOf(stack.otherKey)).total["calls"] ?? 0;
  await post(withKey(stack.otherKey), prompt("last words"));
  const gateway = stack.get("gateway-1");
  gateway.signal("SIGTERM");
  await gateway.exit;
  expect((await usageOf(stack.otherKey)).total).toMatchObject({ calls: before + 1 });
  gateway.start();
  await gateway.ready();
});

test("a job that is cancelled while it runs pays for its prompt, and holds nothing more", async () => {
  const endpoint = withKey("sk-sluice-jobs");
  upstream.onRequest(() => undefined);
  const made = await post(endpoint, prompt("never answered"), { headers: { prefer: "respond-async" } });
  const { id } = made.json as { readonly id: string };
  await eventually(() => expect(upstream.with("never answered")).toHaveLength(1));
  expect((await usageOf(endpoint.key)).budget?.["held_usd"]).toBeGreaterThan(0);
  expect((await post(endpoint, {}, { path: `/v1/jobs/${id}/cancel` })).status).toBe(200);
  await eventually(async () => {
    const { budget, total } = await usageOf(endpoint.key);
    expect(budget?.["held_usd"]).toBe(0);
    expect(budget?.["spent_usd"]).toBeGreaterThan(0);
    expect(total).toMatchObject({ calls: 1, failed_calls: 1, cost_usd: 0 });
  });
});

test("a job that is cancelled after its last attempt was answered pays nothing", async () => {
  const endpoint = withKey("sk-sluice-jobs");
  const before = (await usageOf(endpoint.key)).budget?.["spent_usd"];
  upstream.next((exchange) => exchange.error(429, { headers: { "retry-after": "600" } }));
  const text = prompt("to be parked", { model: "claude-haiku-4-5" });
  const made = await post(endpoint, text, { headers: { prefer: "respond-async" } });
  const { id } = made.json as { readonly id: string };
  await eventually(async () => {
    const { json } = await get(endpoint, "/v1/limits");
    expect(json).toMatchObject({ lanes: { background: { parked: 1 } } });
  });
  expect((await usageOf(endpoint.key)).budget?.["held_usd"]).toBeGreaterThan(0);
  expect((await post(endpoint, {}, { path: `/v1/jobs/${id}/cancel` })).status).toBe(200);
  await eventually(async () => expect((await usageOf(endpoint.key)).budget?.["held_usd"]).toBe(0));
  expect((await usageOf(endpoint.key)).budget?.["spent_usd"]).toBe(before);
});
