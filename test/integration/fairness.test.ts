import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, inject, test } from "vitest";

import type { CallJob } from "#shared/queue/job.ts";
import { bestOf } from "../support/best-of.ts";
import { startDispatcherBench, type DispatcherBench } from "../support/dispatcher-bench.ts";
import { eventually } from "../support/eventually.ts";
import { startUpstream, type Exchange } from "../support/upstream.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { makeCall, makeContext, startWorkerHarness, type WorkerHarness } from "../support/worker-harness.ts";

const upstream = await useUpstream();
let provider: LimitedProvider;
beforeEach(() => {
  provider = createLimitedProvider(20);
  upstream.onRequest((exchange) => provider.answer(exchange));
});

interface LimitedProvider {
  /** Calls it takes at a time; more are answered 429. */
  most: number;
  serviceMs: number;
  readonly open: number;
  readonly peak: number;
  readonly refused: number;
  readonly served: number;
  answer(exchange: Exchange): Promise<void>;
}

function createLimitedProvider(most: number): LimitedProvider {
  let [open, peak, refused, served] = [0, 0, 0, 0];
  const limited: LimitedProvider = {
    most,
    serviceMs: 50,
    get open() {
      return open;
    },
    get peak() {
      return peak;
    },
    get refused() {
      return refused;
    },
    get served() {
      return served;
    },
    async answer(exchange) {
      if (open >= limited.most) {
        refused += 1;
        return exchange.error(429, { headers: { "retry-after-ms": "200" } });
      }
      open += 1;
      peak = Math.max(peak, open);
      await sleep(limited.serviceMs);
      open -= 1;
      served += 1;
      exchange.message("done");
    },
  };
  return limited;
}

/** A dispatcher, and a worker with its engine before the provider. */
interface Bed extends AsyncDisposable {
  readonly bench: DispatcherBench;
  readonly harness: WorkerHarness;
}

async function startBed(background = 100): Promise<Bed> {
  const redisUrl = inject("redisUrl");
  const harness = await startWorkerHarness({ providers: { one: upstream.url }, redisUrl });
  const bench = await startDispatcherBench(redisUrl, { worker: true, background });
  bench.answer = (call, context) => harness.handler.invoke(call, context);
  return {
    bench,
    harness,
    async [Symbol.asyncDispose]() {
      await bench.close();
      await harness.close();
    },
  };
}

function job(waitMs = 60_000): CallJob {
  const { head, body } = makeCall({ deadlineMs: 60_000 });
  const now = Date.now();
  const text = "bytes" in body ? body.bytes.toString() : "";
  return {
    version: 1,
    head: { ...head, waitUntil: now + waitMs },
    body: text,
    replyTo: "",
    enqueuedAt: now,
  };
}

interface Sample {
  readonly ms: number;
  readonly waitedMs: number;
  readonly status: number;
}

/** Two calls at a time on average: one in half of what an answer takes and, every twentieth time, four at once. */
async function callInteractively(bench: DispatcherBench, forMs: number, signal?: AbortSignal): Promise<Sample[]> {
  const calls: Promise<Sample>[] = [];
  const endsAt = Date.now() + forMs;
  for (let turn = 0; Date.now() < endsAt && !signal?.aborted; turn += 1) {
    for (let i = turn % 20 === 0 ? 4 : 1; i > 0; i -= 1) calls.push(sample(bench));
    await sleep(provider.serviceMs / 2);
  }
  return Promise.all(calls);
}

async function sample(bench: DispatcherBench): Promise<Sample> {
  const startedAt = performance.now();
  const outcome = await bench.run(job(), 30_000);
  const waited = outcome.waits.map((wait) => wait.endedAt - wait.startedAt);
  return {
    ms: performance.now() - startedAt,
    waitedMs: waited.reduce((sum, ms) => sum + ms, 0),
    status: outcome.status,
  };
}

function p95(samples: readonly Sample[], of: "ms" | "waitedMs"): number {
  const sorted = samples.map((each) => each[of]).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? 0;
}

async function fill(bench: DispatcherBench, count: number): Promise<void> {
  for (let i = 0; i < count; i += 100)
    await Promise.all(Array.from({ length: Math.min(100, count - i) }, () => bench.producer.add("background", job())));
}

/** The provider has refused once, and what it takes is used up again so far. */
async function saturated(most = 16): Promise<void> {
  const options = { timeoutMs: 30_000, everyMs: 5 };
  await eventually(() => expect(provider.refused).toBeGreaterThan(0), options);
  await eventually(() => expect(provider.open).toBeLessThan(most - 4), options);
  await eventually(() => expect(provider.open).toBeGreaterThanOrEqual(most), options);
}

/** The provider answers the first calls when it is told to, and every other at once. */
function holdCalls(most: number): () => void {
  const held: Exchange[] = [];
  let isOver = false;
  provider.answer = async (exchange) => {
    if (isOver || held.length === most) exchange.message("done");
    else held.push(exchange);
  };
  return () => {
    isOver = true;
    for (const exchange of held) exchange.message("done");
  };
}

const inBackground = { head: { priority: "background" } } as const;

describe("while background jobs saturate a target", () => {
  test("interactive calls wait no longer than without them", { timeout: 120_000 }, async () => {
    await using bed = await startBed();
    // What a busy machine adds by itself is then little of it.
    provider.serviceMs = 120;
    await callInteractively(bed.bench, 500);
    const saturation = new AbortController();
    const alone = await callInteractively(bed.bench, 4_000);
    await fill(bed.bench, 5_000);
    const meanwhile = callInteractively(bed.bench, 30_000, saturation.signal);
    // The rest is kept for as many interactive calls as there were at a time.
    await saturated(10);
    saturation.abort();
    await meanwhile;
    const slowdown = async (): Promise<number> => {
      const servedBefore = provider.served;
      const beside = await callInteractively(bed.bench, 3_000);
      const background = provider.served - servedBefore - beside.length;
      expect(beside.every(({ status }) => status === 200)).toBe(true);
      expect(background).toBeGreaterThan(beside.length / 2);
      // Of a few milliseconds a ratio says nothing.
      const waited = p95(beside, "waitedMs") / Math.max(p95(alone, "waitedMs"), 50);
      return Math.max(p95(beside, "ms") / p95(alone, "ms"), waited);
    };
    expect(await bestOf(5, slowdown, 1.5)).toBeLessThanOrEqual(1.5);
    expect((await bed.bench.producer.depth()).background.waiting).toBeGreaterThan(0);
  });

  test("they come close to what it takes, with few refusals", { timeout: 120_000 }, async () => {
    await using bed = await startBed();
    provider.serviceMs = 150;
    await fill(bed.bench, 4_000);
    await saturated();
    // 1 with two refusals in three seconds, or with twelve of twenty calls in use.
    const distance = async (): Promise<number> => {
      const { refused } = provider;
      const open: number[] = [];
      for (let i = 0; i < 150; i += 1) {
        await sleep(20);
        open.push(provider.open);
      }
      const inUse = open.reduce((sum, each) => sum + each, 0) / open.length;
      return Math.max((provider.refused - refused) / 2, 12 / inUse);
    };
    expect(await bestOf(3, distance, 1)).toBeLessThanOrEqual(1);
  });

  test("they fall back when it takes less", { timeout: 120_000 }, async () => {
    await using bed = await startBed();
    await fill(bed.bench, 5_000);
    await saturated();
    provider.most = 6;
    await eventually(() => expect(provider.open).toBeLessThanOrEqual(6));
    // 1 with four refusals in two seconds, or with fifty calls served.
    const distance = async (): Promise<number> => {
      await sleep(2_000);
      const { refused, served } = provider;
      await sleep(2_000);
      return Math.max((provider.refused - refused) / 4, 50 / (provider.served - served));
    };
    expect(await bestOf(3, distance, 1)).toBeLessThanOrEqual(1);
  });

  test("a background call is parked while there is no room, and answered when there is", async () => {
    await using bed = await startBed();
    const release = holdCalls(12);
    const interactive = Array.from({ length: 12 }, () => bed.bench.run(job(), 20_000));
    await eventually(() => expect(upstream.requests).toHaveLength(12));
    const background = bed.bench.run(job(), 20_000, "background");
    await eventually(async () => expect((await bed.bench.producer.depth()).background.delayed).toBe(1));
    expect(upstream.requests).toHaveLength(12);
    release();
    await Promise.all(interactive);
    const outcome = await background;
    expect(outcome.status).toBe(200);
    expect(outcome.waits.some(({ kind }) => kind === "capacity")).toBe(true);
  });

  test("one that may not wait so long is told to come again", async () => {
    await using bed = await startBed();
    const release = holdCalls(12);
    const interactive = Array.from({ length: 12 }, () => bed.bench.run(job(), 20_000));
    await eventually(() => expect(upstream.requests).toHaveLength(12));
    const outcome = await bed.bench.run(job(200), 20_000, "background");
    expect(outcome).toMatchObject({ status: 429, code: "rate_limited" });
    expect(outcome.headers["retry-after"]).toBe("1");
    expect(outcome.body.toString()).toContain("Interactive calls use all");
    release();
    await Promise.all(interactive);
  });
});

describe("a worker", () => {
  test("gives interactive calls to a target however many it has", async () => {
    await using harness = await startWorkerHarness({ providers: { one: upstream.url }, redisUrl: inject("redisUrl") });
    const release = holdCalls(40);
    const calls = Array.from({ length: 40 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(upstream.requests).toHaveLength(40));
    release();
    const ends = await Promise.all(calls);
    expect(ends.every(({ status }) => status === 200)).toBe(true);
  });

  test("answers at once that a background call must stand back", async () => {
    await using harness = await startWorkerHarness({ providers: { one: upstream.url }, redisUrl: inject("redisUrl") });
    const release = holdCalls(10);
    const calls = Array.from({ length: 10 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(upstream.requests).toHaveLength(10));
    const startedAt = Date.now();
    const outcome = await harness.handler.invoke(makeCall(inBackground), makeContext());
    expect(outcome).toMatchObject({ status: 429, stoodBack: true, attempts: [] });
    expect(outcome.blockedUntil).toBeGreaterThanOrEqual(startedAt + 500);
    expect(outcome.blockedUntil).toBeLessThanOrEqual(Date.now() + 500);
    release();
    await Promise.all(calls);
  });

  test("takes background calls to the next target of their plan while the first is full", async () => {
    await using other = await startUpstream();
    const providers = { one: upstream.url, two: other.url };
    await using harness = await startWorkerHarness({ providers, redisUrl: inject("redisUrl") });
    const release = holdCalls(10);
    const calls = Array.from({ length: 10 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(upstream.requests).toHaveLength(10));
    expect(await harness.handler.invoke(makeCall(inBackground), makeContext())).toMatchObject({
      status: 200,
      provider: "two",
    });
    release();
    await Promise.all(calls);
  });

  test("does not make a background call stand back that a provider may be working on", async () => {
    await using harness = await startWorkerHarness({ providers: { one: upstream.url }, redisUrl: inject("redisUrl") });
    const release = holdCalls(10);
    const calls = Array.from({ length: 10 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(upstream.requests).toHaveLength(10));
    const sentBefore = { provider: "one", model: "claude-opus-4-8", at: Date.now() };
    const outcome = await harness.handler.invoke(makeCall({ ...inBackground, sentBefore, delivery: 2 }), makeContext());
    expect(outcome.status).toBe(200);
    release();
    await Promise.all(calls);
  });
});
