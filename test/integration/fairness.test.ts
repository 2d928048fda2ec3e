import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";

import type { CallJob } from "#shared/queue/job.ts";
import { startDispatcherBench, type DispatcherBench } from "../support/dispatcher-bench.ts";
import { eventually } from "../support/eventually.ts";
import { startUpstream, type Exchange, type Upstream } from "../support/upstream.ts";
import { makeCall, makeContext, startWorkerHarness, type WorkerHarness } from "../support/worker-harness.ts";

let upstream: Upstream;
let provider: LimitedProvider;

beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream.close());
beforeEach(() => {
  upstream.clear();
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

/** A call every 25 ms and, twice a second, four at once. */
async function callInteractively(bench: DispatcherBench, forMs: number): Promise<Sample[]> {
  const calls: Promise<Sample>[] = [];
  const endsAt = Date.now() + forMs;
  for (let turn = 0; Date.now() < endsAt; turn += 1) {
    for (let i = turn % 20 === 0 ? 4 : 1; i > 0; i -= 1) calls.push(sample(bench));
    await sleep(25);
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
  const options = { timeoutMs: 20_000, everyMs: 5 };
  await eventually(() => expect(provider.refused).toBeGreaterThan(0), options);
  await eventually(() => expect(provider.open).toBeLessThan(most - 4), options);
  await eventually(() => expect(provider.open).toBeGreaterThanOrEqual(most), options);
}

const inBackground = { head: { priority: "background" } } as const;

describe("while background jobs saturate a target", () => {
  test("interactive calls wait no longer than without them", { timeout: 60_000 }, async () => {
    await using bed = await startBed();
    await callInteractively(bed.bench, 500);
    const alone = await callInteractively(bed.bench, 3_000);
    await fill(bed.bench, 5_000);
    // The rest is kept for as many interactive calls as there were at a time.
    await saturated(10);
    const servedBefore = provider.served;
    const beside = await callInteractively(bed.bench, 8_000);
    const background = provider.served - servedBefore - beside.length;
    expect(beside.every(({ status }) => status === 200)).toBe(true);
    expect(p95(beside, "ms") / p95(alone, "ms")).toBeLessThanOrEqual(1.5);
    // Of a few milliseconds a ratio says nothing.
    expect(p95(beside, "waitedMs")).toBeLessThanOrEqual(1.5 * Math.max(p95(alone, "waitedMs"), 20));
    expect(background).toBeGreaterThan(beside.length);
    expect((await bed.bench.producer.depth()).background.waiting).toBeGreaterThan(0);
  });

  test("they come close to what it takes, with few refusals", { timeout: 30_000 }, async () => {
    await using bed = await startBed();
    await fill(bed.bench, 3_000);
    await saturated();
    const { refused, served } = provider;
    await sleep(2_000);
    expect(provider.refused - refused).toBeLessThanOrEqual(2);
    // 20 at a time of 50 ms are 800 in two seconds.
    expect(provider.served - served).toBeGreaterThan(400);
  });

  test("they fall back when it takes less", { timeout: 30_000 }, async () => {
    await using bed = await startBed();
    await fill(bed.bench, 3_000);
    await saturated();
    provider.most = 6;
    await eventually(() => expect(provider.open).toBeLessThanOrEqual(6), { timeoutMs: 5_000 });
    await sleep(2_000);
    const { refused, served } = provider;
    await sleep(2_000);
    expect(provider.refused - refused).toBeLessThanOrEqual(4);
    expect(provider.served - served).toBeGreaterThan(80);
  });

  test("a background call is parked while there is no room, and answered when there is", async () => {
    await using bed = await startBed();
    const held = Promise.withResolvers<void>();
    provider.answer = async (exchange) => {
      await held.promise;
      exchange.message("done");
    };
    const interactive = Array.from({ length: 12 }, () => bed.bench.run(job(), 20_000));
    await eventually(() => expect(upstream.requests).toHaveLength(12));
    const background = bed.bench.run(job(), 20_000, "background");
    await eventually(async () => expect((await bed.bench.producer.depth()).background.delayed).toBe(1));
    expect(upstream.requests).toHaveLength(12);
    held.resolve();
    await Promise.all(interactive);
    const outcome = await background;
    expect(outcome.status).toBe(200);
    expect(outcome.waits.some(({ kind }) => kind === "capacity")).toBe(true);
  });

  test("one that may not wait so long is told to come again", async () => {
    await using bed = await startBed();
    provider.serviceMs = 2_000;
    const interactive = Array.from({ length: 12 }, () => bed.bench.run(job(), 20_000));
    await eventually(() => expect(provider.open).toBe(12));
    const outcome = await bed.bench.run(job(200), 20_000, "background");
    expect(outcome).toMatchObject({ status: 429, code: "rate_limited" });
    expect(outcome.headers["retry-after"]).toBe("1");
    expect(outcome.body.toString()).toContain("Interactive calls use all");
    await Promise.all(interactive);
  });
});

describe("a worker", () => {
  test("gives interactive calls to a target however many it has", async () => {
    await using harness = await startWorkerHarness({ providers: { one: upstream.url }, redisUrl: inject("redisUrl") });
    provider.most = 100;
    provider.serviceMs = 300;
    const calls = Array.from({ length: 40 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(provider.open).toBe(40));
    const ends = await Promise.all(calls);
    expect(ends.every(({ status }) => status === 200)).toBe(true);
  });

  test("answers at once that a background call must stand back", async () => {
    await using harness = await startWorkerHarness({ providers: { one: upstream.url }, redisUrl: inject("redisUrl") });
    provider.serviceMs = 500;
    const calls = Array.from({ length: 10 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(provider.open).toBe(10));
    const startedAt = Date.now();
    const outcome = await harness.handler.invoke(makeCall(inBackground), makeContext());
    expect(outcome).toMatchObject({ status: 429, stoodBack: true, attempts: [] });
    expect(outcome.blockedUntil).toBeGreaterThan(startedAt + 400);
    expect(outcome.blockedUntil).toBeLessThan(startedAt + 1_500);
    expect(Date.now() - startedAt).toBeLessThan(300);
    await Promise.all(calls);
  });

  test("takes background calls to the next target of their plan while the first is full", async () => {
    await using other = await startUpstream();
    const providers = { one: upstream.url, two: other.url };
    await using harness = await startWorkerHarness({ providers, redisUrl: inject("redisUrl") });
    provider.serviceMs = 500;
    const calls = Array.from({ length: 10 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(provider.open).toBe(10));
    expect(await harness.handler.invoke(makeCall(inBackground), makeContext())).toMatchObject({
      status: 200,
      provider: "two",
    });
    await Promise.all(calls);
  });

  test("does not make a background call stand back that a provider may be working on", async () => {
    await using harness = await startWorkerHarness({ providers: { one: upstream.url }, redisUrl: inject("redisUrl") });
    provider.serviceMs = 300;
    const calls = Array.from({ length: 10 }, () => harness.handler.invoke(makeCall(), makeContext()));
    await eventually(() => expect(provider.open).toBe(10));
    const sentBefore = { provider: "one", model: "claude-opus-4-8", at: Date.now() };
    const outcome = await harness.handler.invoke(makeCall({ ...inBackground, sentBefore, delivery: 2 }), makeContext());
    expect(outcome.status).toBe(200);
    await Promise.all(calls);
  });
});
