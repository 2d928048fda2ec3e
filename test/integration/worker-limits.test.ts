import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { stall, wholeAnswer, type Script } from "../support/scripted-upstream.ts";
import { failing, invoke, ok, useWorkerBed } from "../support/use-worker-bed.ts";
import { messageBody } from "../support/wire-samples.ts";
import {
  errorOf,
  makeCall,
  makeContext,
  modelName,
  reasonsOf,
  type HarnessOptions,
  type WorkerHarness,
} from "../support/worker-harness.ts";

const { a, b, start: startWith } = await useWorkerBed();

const limited = (headers: Readonly<Record<string, string>>): Script => failing(429, {}, headers);

/** A worker with one provider, unless told. */
function start(options: Partial<HarnessOptions> = {}): Promise<WorkerHarness> {
  return startWith({ providers: { a: a.url }, ...options });
}

describe("rate limits", () => {
  test("a blocked target is not asked, and the answer says until when", async () => {
    await using harness = await start();
    a.next(limited({ "retry-after": "30", "anthropic-ratelimit-requests-remaining": "0" }));
    const before = Date.now();
    const first = await invoke(harness);
    expect(first).toMatchObject({ status: 429, code: "rate_limited" });
    expect(first.blockedUntil).toBeGreaterThanOrEqual(before + 30_000);
    expect(first.blockedUntil).toBeLessThanOrEqual(Date.now() + 30_000);
    expect(first.headers).toMatchObject({
      "retry-after": "30",
      "request-id": "req_failed",
      "anthropic-ratelimit-requests-remaining": "0",
    });
    expect(first.headers["x-should-retry"]).toBeUndefined();
    const second = await invoke(harness);
    expect(second).toMatchObject({ status: 429, attempts: [], blockedUntil: first.blockedUntil });
    expect(errorOf(second).type).toBe("rate_limit_error");
    expect(a.requests).toHaveLength(1);
  });

  test("more than a minute is not to be slept through by an SDK", async () => {
    await using harness = await start();
    a.next(limited({ "retry-after": "3600", "retry-after-ms": "3600000" }));
    const outcome = await invoke(harness);
    expect(outcome.headers).toMatchObject({ "retry-after": "3600", "x-should-retry": "false" });
    expect(outcome.headers["retry-after-ms"]).toBeUndefined();
  });

  test("with every target limited the soonest reset counts", async () => {
    await using harness = await start({ providers: { a: a.url, b: b.url } });
    a.next(limited({ "retry-after": "50" }));
    b.next(limited({ "retry-after": "20" }));
    const outcome = await invoke(harness);
    expect(reasonsOf(outcome)).toEqual(["rate_limited", "rate_limited"]);
    expect(outcome.headers["retry-after"]).toBe("20");
  });

  test("a limit of milliseconds is waited for in the worker", async () => {
    await using harness = await start();
    a.next(limited({ "retry-after-ms": "80" }));
    const outcome = await invoke(harness);
    expect(outcome.status).toBe(200);
    expect(reasonsOf(outcome)).toEqual(["rate_limited", "ok"]);
    // A timer may be a millisecond early, and the rest is waited for too.
    expect(new Set(outcome.waits.map(({ kind }) => kind))).toEqual(new Set(["capacity"]));
  });

  test("without a hint the block grows with every refusal", async () => {
    await using harness = await start();
    a.always(limited({}));
    const first = await invoke(harness);
    expect((first.blockedUntil ?? 0) - Date.now()).toBeLessThanOrEqual(1000);
    // Of an outcome with one attempt: how long its refusal blocks the target, and what the attempt took.
    const blockOf = ({ attempts, blockedUntil = 0 }: Outcome): number => blockedUntil - (attempts[0]?.startedAt ?? 0);
    const second = await eventually(
      async () => {
        const outcome = await invoke(harness);
        expect(outcome.attempts).toHaveLength(1);
        return outcome;
      },
      { everyMs: 50 },
    );
    expect(blockOf(second)).toBeGreaterThanOrEqual(2000);
  });

  test("at a reset one call goes first and the others wait for it", async () => {
    await using harness = await start();
    a.next(limited({ "retry-after-ms": "400" }));
    await invoke(harness);
    await eventually(() => expect(harness.board.state("a", modelName).blockedUntil).toBeLessThan(Date.now()), {
      everyMs: 20,
    });
    a.clear();
    let answer = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    a.next([held, ...(ok() as readonly Buffer[])]);
    // At once: a probe has three quarters of a second.
    const calls = [invoke(harness), invoke(harness)];
    const other = await Promise.race(calls);
    expect(other).toMatchObject({ status: 429, attempts: [] });
    expect((other.blockedUntil ?? 0) - Date.now()).toBeLessThanOrEqual(1000);
    expect(a.requests.length).toBeLessThanOrEqual(1);
    answer();
    expect((await Promise.all(calls)).map(({ status }) => status).toSorted((x, y) => x - y)).toEqual([200, 429]);
    expect((await invoke(harness)).status).toBe(200);
  });

  test("a probe passes after three quarters of a second without a 429", async () => {
    await using harness = await start();
    a.next(limited({ "retry-after-ms": "300" }));
    await invoke(harness);
    await eventually(() => expect(harness.board.state("a", modelName).blockedUntil).toBeLessThan(Date.now()), {
      everyMs: 20,
    });
    a.clear();
    a.next([stall]);
    const context = makeContext();
    const stalled = harness.handler.invoke(makeCall(), context);
    await eventually(() => expect(a.requests).toHaveLength(1));
    await eventually(async () => expect((await invoke(harness)).status).toBe(200), { everyMs: 50 });
    context.abort();
    await stalled;
  });

  test("after a reset calls start in growing numbers", async () => {
    // Within a second of the reset; who comes later finds the target free.
    const startedAtOnce = async (): Promise<number> => {
      await using harness = await start();
      a.next(limited({ "retry-after-ms": "300" }));
      await invoke(harness);
      await eventually(() => expect(harness.board.state("a", modelName).blockedUntil).toBeLessThan(Date.now()), {
        everyMs: 20,
      });
      expect((await invoke(harness)).status).toBe(200);
      const outcomes = await Promise.all(Array.from({ length: 12 }, () => invoke(harness)));
      expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 200));
      return outcomes.filter(({ waits }) => waits.length === 0).length;
    };
    expect(await bestOf(3, startedAtOnce, 11)).toBeLessThan(12);
  });

  test("a call that may still be at work somewhere is not offered to be opened again", async () => {
    await using harness = await start({ providers: { a: a.url, b: b.url } });
    a.next(failing(504));
    b.always(limited({ "retry-after": "20" }));
    a.always(limited({ "retry-after": "20" }));
    const outcome = await invoke(harness);
    expect(outcome.status).toBe(429);
    expect(outcome.blockedUntil).toBeUndefined();
  });

  test("a thread's continuation whose target is limited is not found, at once", async () => {
    await using harness = await start();
    await harness.affinity.bind("key:test", "msg_1", { provider: "a", model: modelName });
    harness.board.block({ provider: "a", model: modelName }, Date.now() + 60_000, { reason: "rate_limited" });
    const thread = { type: "continue", previous_message_id: "msg_1" };
    const outcome = await invoke(
      harness,
      makeCall({ body: { model: modelName, max_tokens: 9, messages: [], thread } }),
    );
    expect(outcome.status).toBe(404);
    expect(errorOf(outcome).details).toEqual({ error_code: "thread_not_found" });
    expect(a.requests).toHaveLength(0);
  });
});

test.each([
  { what: "refused credential", status: 401, headers: {}, ms: 60_000 },
  { what: "exhausted account", status: 402, headers: {}, ms: 600_000 },
  { what: "limited target", status: 429, headers: { "retry-after": "45" }, ms: 45_000 },
])("a $what is left alone for $ms ms", async ({ status, headers, ms }) => {
  await using harness = await start();
  a.next(failing(status, {}, headers));
  const before = Date.now();
  await invoke(harness);
  const { blockedUntil, outUntil } = harness.board.state("a", modelName);
  const until = Math.max(blockedUntil, outUntil);
  expect(until).toBeGreaterThanOrEqual(before + ms);
  expect(until).toBeLessThanOrEqual(Date.now() + ms);
});

describe("breakers", () => {
  test("three connect failures in a row open it, then nobody is asked until it is half open", async () => {
    await using harness = await start({ providers: { gone: "http://127.0.0.1:1" } });
    for (let i = 0; i < 3; i += 1) expect(reasonsOf(await invoke(harness))).toEqual(["connect_failed"]);
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 529, attempts: [] });
    // Of the five seconds that it is open, what is left.
    expect(outcome.headers["retry-after"]).toMatch(/^[1-5]$/);
  });

  test("one poisonous body does not open it for all", async () => {
    await using harness = await start({ engine: { sameTargetRetries: 0 } });
    a.always(failing(500));
    const bytes = Buffer.from(`{"model":"${modelName}","max_tokens":1,"messages":[]}`);
    for (let i = 0; i < 8; i += 1) expect((await invoke(harness, makeCall({ bytes }))).attempts).toHaveLength(1);
    await invoke(harness);
    expect(await invoke(harness)).toMatchObject({ status: 529, attempts: [] });
  });

  test("five failures in a row from several bodies open it", async () => {
    await using harness = await start({ engine: { sameTargetRetries: 0 } });
    a.always(failing(529));
    for (let i = 0; i < 5; i += 1) expect((await invoke(harness)).attempts).toHaveLength(1);
    expect(await invoke(harness)).toMatchObject({ status: 529, attempts: [] });
  });

  test("a success in between begins anew, a 400 or a 429 changes nothing", async () => {
    await using harness = await start({ engine: { sameTargetRetries: 0 } });
    const bad = failing(500);
    a.next(bad, bad, bad, bad, ok(), bad, bad, failing(400), bad, bad);
    for (let i = 0; i < 10; i += 1) await invoke(harness);
    expect((await invoke(harness)).status).toBe(200);
    a.next(bad, bad, failing(400), bad, bad, bad);
    for (let i = 0; i < 6; i += 1) await invoke(harness);
    expect(await invoke(harness)).toMatchObject({ status: 529, attempts: [] });
  });

  test("half open, one call tries; its success closes it, its failure opens it for longer", async () => {
    await using harness = await start({ engine: { sameTargetRetries: 0 } });
    const target = { provider: "a", model: modelName };
    const halfOpen = async (): Promise<void> => {
      harness.board.closeBreaker(target);
      harness.board.openBreaker(target, Date.now() + 30, { reason: "connect_failed" });
      await eventually(() => expect(harness.board.state("a", modelName).breakerUntil).toBeLessThan(Date.now()));
    };
    await halfOpen();
    a.next([100, ...(ok() as readonly Buffer[])]);
    const [first, second] = await Promise.all([invoke(harness), invoke(harness)]);
    expect(new Set([first.status, second.status])).toEqual(new Set([200, 529]));
    expect(harness.board.state("a", modelName).breakerOpenings).toBe(0);
    await halfOpen();
    a.next(failing(500));
    await invoke(harness);
    // The first opening is for 5 s.
    expect(harness.board.state("a", modelName).breakerUntil).toBeGreaterThan(Date.now() + 6_000);
  });

  test("what one worker finds out another knows", async () => {
    const prefix = `test-${randomUUID()}`;
    await using one = await start({ prefix });
    await using two = await start({ prefix });
    a.next(limited({ "retry-after": "60" }));
    await invoke(one);
    await eventually(async () => expect(await invoke(two)).toMatchObject({ status: 429, attempts: [] }));
  });

  test("without Redis a worker uses what it finds out by itself, and says so", async () => {
    await using harness = await start({ redisUrl: "redis://127.0.0.1:1", isRedisAway: true });
    a.next(limited({ "retry-after": "60" }));
    expect((await invoke(harness)).notes).toContain("redis_away");
    expect(await invoke(harness)).toMatchObject({ status: 429, attempts: [] });
  });
});

describe("affinity and bound state", () => {
  const conversation = (): Record<string, unknown> => ({
    model: modelName,
    max_tokens: 5,
    system: `system ${randomUUID()}`,
    messages: [{ role: "user", content: "hello" }],
  });

  test("a conversation stays where it was served", async () => {
    await using harness = await start({ providers: { a: a.url, b: b.url } });
    const body = conversation();
    a.next(failing(403));
    expect((await invoke(harness, makeCall({ body }))).provider).toBe("b");
    await eventually(async () => expect((await invoke(harness, makeCall({ body }))).provider).toBe("b"));
    expect((await invoke(harness, makeCall({ body: conversation() }))).provider).toBe("a");
  });

  test("a thread goes on at the target that made it", async () => {
    await using harness = await start({ providers: { a: a.url, b: b.url } });
    a.next(failing(403));
    b.next(wholeAnswer(200, JSON.stringify(messageBody("x", modelName, "msg_thread"))));
    await invoke(harness, makeCall({ body: { ...conversation(), thread: { type: "create" } } }));
    const thread = { type: "continue", previous_message_id: "msg_thread" };
    const next = makeCall({ body: { model: modelName, max_tokens: 5, messages: [], thread } });
    expect((await invoke(harness, next)).provider).toBe("b");
    expect(b.requests.at(-1)?.body.toString()).toContain('"previous_message_id":"msg_thread"');
  });

  test("an unknown thread is not found, without asking anybody", async () => {
    await using harness = await start({ providers: { a: a.url, b: b.url } });
    const thread = { type: "continue", previous_message_id: "msg_unknown" };
    const outcome = await invoke(
      harness,
      makeCall({ body: { model: modelName, max_tokens: 5, messages: [], thread } }),
    );
    expect(outcome.status).toBe(404);
    expect(errorOf(outcome).details).toEqual({ error_code: "thread_not_found" });
    expect(a.requests).toHaveLength(0);
  });

  test("a container is used where it lives", async () => {
    await using harness = await start({ providers: { a: a.url, b: b.url } });
    a.next(failing(403));
    const made = { ...messageBody("x"), container: { id: "container_1", expires_at: "2027-01-01T00:00:00Z" } };
    b.next(wholeAnswer(200, JSON.stringify(made)));
    await invoke(harness, makeCall({ body: conversation() }));
    expect((await invoke(harness, makeCall({ body: { ...conversation(), container: "container_1" } }))).provider).toBe(
      "b",
    );
  });
});
