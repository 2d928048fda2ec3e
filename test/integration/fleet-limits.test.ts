import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { createLimitsReporter, readFleetLimits, type LimitsReporter } from "#shared/store/fleet-limits.ts";
import { createTargetBoard } from "#shared/store/target-board.ts";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import { createJobConsumer } from "#shared/queue/job-consumer.ts";
import { createMetrics } from "#shared/telemetry/metrics.ts";
import { Registry } from "prom-client";
import { createPaces, type Paces } from "../../services/worker/engine/pace.ts";
import { reportLimits } from "../../services/worker/report-limits.ts";
import { eventually } from "../support/eventually.ts";
import { bedKeys, startGatewayBed, type GatewayBed } from "../support/gateway-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleJob, type StoreBed } from "../support/store-bed.ts";

interface Answer {
  readonly type: string;
  readonly targets: readonly {
    readonly provider: string;
    readonly model: string;
    readonly serves: readonly string[];
    readonly state: string;
    readonly blocked_until: string | null;
    readonly unavailable_until: string | null;
    readonly limits: Record<string, unknown>;
    readonly limits_at: string | null;
    readonly concurrency: Record<string, number> | null;
  }[];
  readonly lanes: Record<string, { readonly oldest_waiting_ms: number | null } & Record<string, number>>;
}

describe("GET /v1/limits", () => {
  let bed: GatewayBed;
  let store: StoreBed;
  let reporter: LimitsReporter;

  beforeAll(async () => {
    bed = await startGatewayBed({ dispatcher: false });
    store = createStoreBed(inject("redisUrl"));
    const redis = await store.connect("command");
    reporter = createLimitsReporter({ redis, prefix: bed.config.redis.prefix, workerId: "w1" });
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await bed.close();
  });

  async function limits(key = bedKeys.key, path = "/v1/limits"): Promise<Answer> {
    // Older than what the gateway keeps.
    await new Promise((resolve) => setTimeout(resolve, 550));
    const answer = await fetch(`${bed.url}${path}`, { headers: { "x-api-key": key } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toContain("application/json");
    return (await answer.json()) as Answer;
  }

  test("names every target once, with the models it serves, before anything is known", async () => {
    const answer = await limits();
    expect(answer.type).toBe("limits");
    expect(answer.targets.map(({ model }) => model)).toEqual(["claude-opus-4-8", "claude-haiku-4-5", "other-1"]);
    expect(answer.targets[0]).toEqual({
      provider: "one",
      model: "claude-opus-4-8",
      serves: ["claude-opus-4-8"],
      state: "ok",
      reason: null,
      blocked_until: null,
      last_error: null,
      unavailable_until: null,
      limits: {},
      limits_at: null,
      concurrency: null,
    });
    expect(answer.lanes["background"]).toEqual({ waiting: 0, parked: 0, running: 0, oldest_waiting_ms: null });
  });

  test("shows what the workers report, summed, and what is blocked or out", async () => {
    const redis = await store.connect("command");
    const { prefix } = bed.config.redis;
    const other = createLimitsReporter({ redis, prefix, workerId: "w2" });
    const target = { provider: "one", model: "claude-opus-4-8" };
    const at = Date.now();
    const resetAt = at + 30_000;
    await reporter.report(
      [{ ...target, limit: 10, interactive: 2, background: 5 }],
      [{ ...target, at, limits: { "input-tokens": { limit: 100, remaining: 7, resetAt } } }],
    );
    await other.report([{ ...target, limit: 6, interactive: 1, background: 0 }], []);
    const subscriber = await store.connect("subscriber");
    const board = store.own(createTargetBoard({ redis, subscriber, prefix, logger: store.logger }));
    board.block(target, at + 20_000, { reason: "rate_limited", status: 429, error: "rate_limit_error" });
    const down = { reason: "connect_failed", error: "ECONNREFUSED" } as const;
    board.openBreaker({ provider: "one", model: "claude-haiku-4-5" }, at + 20_000, down);
    const refused = { reason: "credential_refused", status: 401, error: "authentication_error" } as const;
    board.out({ provider: "one", model: "other-1" }, at + 20_000, refused);
    // It answers 429 for longer than that.
    board.block({ provider: "one", model: "other-1" }, at + 50_000, { reason: "rate_limited" });

    const { targets } = await limits();
    const until = new Date(at + 20_000).toISOString();
    expect(targets[0]).toMatchObject({
      state: "blocked",
      reason: "rate_limited",
      blocked_until: until,
      unavailable_until: null,
      last_error: { status: 429, error: "rate_limit_error" },
      limits: { input_tokens: { limit: 100, remaining: 7, reset: new Date(resetAt).toISOString() } },
      limits_at: new Date(at).toISOString(),
      concurrency: { limit: 16, interactive: 3, background: 5, workers: 2 },
    });
    expect(targets[1]).toMatchObject({
      state: "failing",
      reason: "connect_failed",
      blocked_until: until,
      unavailable_until: until,
      last_error: { status: null, error: "ECONNREFUSED" },
    });
    expect(targets[2]).toMatchObject({
      state: "unavailable",
      reason: "credential_refused",
      blocked_until: until,
      unavailable_until: until,
      last_error: { status: 401, error: "authentication_error" },
    });
  });

  test("shows how full the lanes are and how long their oldest job waits, parked or not", async () => {
    const redis = await store.connect("command");
    const producer = store.own(createJobProducer(redis, { prefix: bed.config.redis.prefix }));
    const enqueuedAt = Date.now() - 5_000;
    for (let i = 0; i < 3; i += 1) {
      const id = callId();
      await producer.add("background", sampleJob(id, { enqueuedAt: enqueuedAt + i * 1_000 }));
    }
    const { lanes } = await limits();
    expect(lanes["background"]).toMatchObject({ waiting: 3, parked: 0, running: 0 });
    expect(lanes["background"]?.oldest_waiting_ms).toBeGreaterThanOrEqual(5_000);
    expect(lanes["background"]?.oldest_waiting_ms).toBeLessThan(60_000);
    expect(lanes["interactive"]?.oldest_waiting_ms).toBeNull();

    const connection = await store.connect("blocking");
    const consumer = createJobConsumer({
      lane: "background",
      concurrency: 3,
      lockMs: 15_000,
      connection,
      prefix: bed.config.redis.prefix,
      marks: createStoreKeys(bed.config.redis.prefix).callMarks,
      logger: store.logger,
      handle: () => Promise.resolve({ parkUntil: Date.now() + 60_000 }),
      onFailed: () => undefined,
    });
    await eventually(async () => expect((await bed.depth()).background.delayed).toBe(3));
    await consumer.close(AbortSignal.timeout(100));
    const parked = (await limits()).lanes["background"];
    expect(parked).toMatchObject({ waiting: 0, parked: 3 });
    expect(parked?.oldest_waiting_ms).toBeGreaterThanOrEqual(5_000);
  });

  test("a key sees the targets of its models only, and a Claude-only prefix those of Claude models", async () => {
    expect((await limits(bedKeys.opusKey)).targets.map(({ model }) => model)).toEqual(["claude-opus-4-8"]);
    const claude = (await limits(bedKeys.key, "/anthropic/v1/limits")).targets.map(({ model }) => model);
    expect(claude).toEqual(["claude-opus-4-8", "claude-haiku-4-5"]);
  });

  test.each([
    [{ method: "GET", key: "" }, 401, "authentication_error"],
    [{ method: "GET", key: "nobody's" }, 401, "authentication_error"],
    [{ method: "POST", key: bedKeys.key }, 405, "invalid_request_error"],
  ])("%j is %i", async ({ method, key }, status, type) => {
    const answer = await fetch(`${bed.url}/v1/limits`, { method, headers: { "x-api-key": key } });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ type: "error", error: { type } });
  });
});

test("while Redis is away limits are a 529", async () => {
  await using redis = await startRedis();
  await using bed = await startGatewayBed({ redisUrl: redis.url });
  await redis.kill();
  const answer = await fetch(`${bed.url}/v1/limits`, { headers: { "x-api-key": bedKeys.key } });
  expect(answer.status).toBe(529);
});

describe("a worker", () => {
  async function openReporting(paces: Paces) {
    const store = createStoreBed(inject("redisUrl"));
    const redis = await store.connect("command");
    const reports: number[] = [];
    const reporter = createLimitsReporter({ redis, prefix: store.prefix, workerId: "w" });
    store.own(
      reportLimits({
        paces,
        metrics: createMetrics(new Registry()),
        reporter: {
          report(uses, headers) {
            reports.push(Date.now());
            return reporter.report(uses, headers);
          },
        },
      }),
    );
    return { store, redis, reports };
  }

  test("reports at most once a second, however much it does, and not while nothing changes", async () => {
    const paces = createPaces(() => 100);
    const { store, redis, reports } = await openReporting(paces);
    await using _ = store;
    const target = { provider: "one", model: "m" };
    const busyUntil = Date.now() + 2_500;
    let now = 0;
    while (now < busyUntil) {
      now = Date.now();
      paces.of(target).begin("interactive", now);
      const headers = { "anthropic-ratelimit-requests-remaining": String(now) };
      paces.of(target).end("interactive", { reason: "ok", startedAt: now, endedAt: now, headers }, 0);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    paces.of(target).begin("background", Date.now());
    await eventually(async () => {
      const fleet = await readFleetLimits({ redis, prefix: store.prefix });
      expect(fleet.use("one", "m")).toMatchObject({ interactive: 0, background: 1, workers: 1 });
      expect(fleet.headers("one", "m")?.limits["requests"]?.remaining).toBe(now);
    });
    // A timer may be a little early.
    for (const [index, at] of reports.slice(1).entries()) expect(at - (reports[index] ?? 0)).toBeGreaterThan(900);
    const before = reports.length;
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    expect(reports).toHaveLength(before);
    expect(await redis.client.pttl(`{${store.prefix}}:target-use`)).toBeGreaterThan(0);
    expect(await redis.client.pttl(`{${store.prefix}}:header-limits`)).toBeGreaterThan(0);
  });

  test("that is gone counts no more, and the next one to start forgets it", async () => {
    await using store = createStoreBed(inject("redisUrl"));
    const redis = await store.connect("command");
    const { prefix } = store;
    const use = { provider: "one", model: "m", limit: 5, interactive: 0, background: 0 };
    const gone = JSON.stringify({ at: Date.now() - 60_000, uses: [use] });
    await redis.client.hset(`{${prefix}}:target-use`, "gone", gone);
    expect((await readFleetLimits({ redis, prefix })).use("one", "m")).toBeUndefined();
    await createLimitsReporter({ redis, prefix, workerId: "new" }).report([use], []);
    expect((await readFleetLimits({ redis, prefix })).use("one", "m")).toMatchObject({ limit: 5, workers: 1 });
    expect(await redis.client.hkeys(`{${prefix}}:target-use`)).toEqual(["new"]);
  });
});
