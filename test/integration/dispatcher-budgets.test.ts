import { afterEach, beforeEach, expect, inject, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import { createBatchIntake } from "#shared/store/batch-intake.ts";
import { createBatchStore } from "#shared/store/batch-store.ts";
import { budgetPeriod, createBudgetStore, type BudgetStore } from "#shared/store/budget-store.ts";
import { createItemStore } from "#shared/store/item-store.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { itemCallId } from "../../services/dispatcher/batches/item-job.ts";
import { makeBatch, resultsOf, untilEnded, type BatchKit } from "../support/batch-kit.ts";
import { answerOf, blockedUntil, startDispatcherBench, type DispatcherBench } from "../support/dispatcher-bench.ts";
import { eventually } from "../support/eventually.ts";

// Items of batches and the budget of their key, in billionths of a dollar: a million a day, of which each costs 235,000.

const keyId = "key:poor";
const budget = 1_000_000;
const cost = (12 * 5 + 7 * 25) * 1000;
/** Of items at a time in the lane. */
const atOnce = 5;

let bench: DispatcherBench;
let kit: BatchKit;
let budgets: BudgetStore;
beforeEach(async () => {
  bench = await startDispatcherBench(inject("redisUrl"), {
    worker: true,
    background: atOnce,
    keys: [{ name: "poor", budget: { usd: budget / 1e9, per: "day" } }],
  });
  const { redis, prefix } = bench;
  kit = { intake: createBatchIntake({ redis, prefix }), batches: createBatchStore({ redis, prefix }) };
  budgets = createBudgetStore({ redis, prefix, logger: createLogger({ name: "test", level: "silent" }) });
  bench.answer = async () => paid();
});
afterEach(async () => {
  await budgets.close();
  await bench.close();
});

const period = (): string => budgetPeriod("day", Date.now());
const state = () => budgets.read(keyId, period());

function paid(more: Partial<Outcome> = {}): Outcome {
  const usage = {
    input_tokens: 12,
    output_tokens: 7,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
  return answerOf("paid", { usage, model: "claude-opus-4-8", ...more });
}

const estimateOf = (amount: number) => ({ amount, promptAmount: 1000 });

/** Answers when it is told to, and counts how many wait for that at most. */
function gated(): { readonly most: () => number; readonly open: () => void } {
  const gate = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  bench.answer = async () => {
    running += 1;
    most = Math.max(most, running);
    await gate.promise;
    running -= 1;
    return paid();
  };
  return { most: () => most, open: gate.resolve };
}

test("a budget is overrun by no more than the items in flight, and the others end as billing errors", async () => {
  // Estimates far too low: all that the lane takes at a time goes ahead.
  const batch = await makeBatch(kit, { keyId, items: 60, estimate: estimateOf(1) });
  const ended = await untilEnded(kit, batch);
  const { spent, held } = await state();
  expect(held).toBe(0);
  expect(spent).toBe(bench.calls.length * cost);
  expect(spent).toBeGreaterThanOrEqual(budget);
  expect(spent).toBeLessThan(budget + atOnce * cost);
  expect(ended.ends).toMatchObject({ succeeded: bench.calls.length, errored: 60 - bench.calls.length });
  const [refused] = (await resultsOf(kit, ended)).filter(({ end }) => end === "errored");
  const { error, request_id: requestId } = JSON.parse(String(refused?.payload)) as {
    error: { type: string; message: string };
    request_id: string;
  };
  expect(error.type).toBe("billing_error");
  expect(error.message).toMatch(/budget of \$0\.001 a day is spent\. The next one begins at \d{4}-.*T00:00:00/);
  expect(requestId).toMatch(/^call_/);
});

test("items whose money others hold wait for it, and end only when it is spent", async () => {
  const gate = gated();
  const batch = await makeBatch(kit, { keyId, items: 12, estimate: estimateOf(600_000) });
  await eventually(async () => expect((await bench.producer.depth()).background.delayed).toBe(10));
  expect(await state()).toEqual({ spent: 0, held: 1_200_000 });
  gate.open();
  const ended = await untilEnded(kit, batch);
  expect(gate.most()).toBe(2);
  const { spent, held } = await state();
  expect(held).toBe(0);
  // Of 1,000,000 so much is left after four that another one or two go ahead.
  expect(spent).toBe(ended.ends.succeeded * cost);
  expect([5, 6]).toContain(ended.ends.succeeded);
  expect(ended.ends.errored).toBe(12 - ended.ends.succeeded);
});

test("an item that waits for capacity holds nothing meanwhile", async () => {
  const resetAt = Date.now() + 1500;
  bench.answer = async () => (Date.now() < resetAt ? blockedUntil(resetAt) : paid());
  const batch = await makeBatch(kit, { keyId, items: 1, estimate: estimateOf(300_000) });
  await eventually(async () => expect((await bench.producer.depth()).background.delayed).toBe(1));
  await eventually(async () => expect(await state()).toEqual({ spent: 0, held: 0 }));
  await untilEnded(kit, batch);
  expect(await state()).toEqual({ spent: cost, held: 0 });
});

test("an item that is delivered again holds and pays once", async () => {
  const gate = gated();
  const batch = await makeBatch(kit, { keyId, items: 1, estimate: estimateOf(300_000) });
  await eventually(() => expect(bench.calls).toHaveLength(1));
  expect(await state()).toEqual({ spent: 0, held: 300_000 });
  await bench.addDispatcher();
  // It goes without having ended: the worker keeps the call, and the other dispatcher takes it over.
  await bench.dispatcher.drain(AbortSignal.abort());
  await eventually(async () => expect((await bench.producer.depth()).background.active).toBe(1), { timeoutMs: 10_000 });
  expect(await state()).toEqual({ spent: 0, held: 300_000 });
  gate.open();
  expect((await untilEnded(kit, batch)).ends).toMatchObject({ succeeded: 1 });
  expect(await state()).toEqual({ spent: cost, held: 0 });
  expect(bench.calls).toHaveLength(1);
}, 30_000);

test("what a lost dispatcher held for items is not held again by the next one, and settled by it", async () => {
  await bench.dispatcher.drain(AbortSignal.abort());
  const batch = await makeBatch(kit, { keyId, items: 4, estimate: estimateOf(100_000) });
  for (const index of [0, 1, 2, 3])
    await budgets.reserve(
      { callId: itemCallId(batch.id, index), keyId, period: period(), ...estimateOf(100_000) },
      budget,
      3_600_000,
    );
  const gate = gated();
  await bench.addDispatcher();
  await eventually(() => expect(bench.calls).toHaveLength(4), { timeoutMs: 10_000 });
  expect(await state()).toEqual({ spent: 0, held: 400_000 });
  gate.open();
  await untilEnded(kit, batch);
  expect(await state()).toEqual({ spent: 4 * cost, held: 0 });
});

test("what was held for items that are taken out of the lane is given back", async () => {
  const gate = gated();
  const batch = await makeBatch(kit, { keyId, items: 20, estimate: estimateOf(1) });
  await eventually(() => expect(bench.calls).toHaveLength(atOnce));
  await eventually(async () => expect((await bench.producer.depth()).background.waiting).toBe(15));
  const ran = new Set(bench.calls.map(({ head }) => head.id));
  const left = Array.from({ length: 20 }, (_, index) => itemCallId(batch.id, index)).filter((id) => !ran.has(id));
  for (const callId of left)
    await budgets.reserve({ callId, keyId, period: period(), ...estimateOf(1000) }, budget, 3_600_000);
  expect((await state()).held).toBe(15_000 + atOnce);
  await kit.batches.cancel(keyId, batch.id);
  await eventually(async () => expect((await state()).held).toBe(atOnce));
  gate.open();
  const ended = await untilEnded(kit, batch);
  expect(ended.ends).toMatchObject({ succeeded: atOnce, canceled: 15 });
  expect(await state()).toEqual({ spent: atOnce * cost, held: 0 });
});

test("an item pays once however often its end is recorded, and also when its hold has run out", async () => {
  await bench.dispatcher.drain(AbortSignal.abort());
  const batch = await makeBatch(kit, { keyId, items: 2 });
  const store = createItemStore({ redis: bench.redis, prefix: bench.prefix });
  const charge = { hold: { callId: itemCallId(batch.id, 0), keyId, period: period() }, cost };
  const end = { end: "succeeded", payload: Buffer.from("{}") } as const;
  const item = { batchId: batch.id, index: 0, keyId };
  expect(await store.record(item, end, { charge })).toBe("recorded");
  expect(await store.record(item, end, { charge })).toBe("already");
  expect(await state()).toEqual({ spent: cost, held: 0 });
  const ttl = await bench.redis.client.pttl(`{${bench.prefix}}:budget:${period()}:${keyId}`);
  expect(ttl).toBeGreaterThan(0);
});

test("a key without a budget holds nothing, and one of which no estimate was made pays all the same", async () => {
  await untilEnded(kit, await makeBatch(kit, { keyId: "key:rich", items: 3, estimate: estimateOf(300_000) }));
  expect(await budgets.read("key:rich", period())).toEqual({ spent: 0, held: 0 });
  const ended = await untilEnded(kit, await makeBatch(kit, { keyId, items: 2 }));
  expect(ended.ends).toMatchObject({ succeeded: 2 });
  expect(await state()).toEqual({ spent: 2 * cost, held: 0 });
});

test("an answer that nobody heard out costs its prompt, a refusal nothing", async () => {
  bench.answer = async ({ body }) => {
    const isFirst = "key" in body && body.key.endsWith("#0");
    const attempt = { provider: "one", model: "m", startedAt: 1, endedAt: 2 };
    return isFirst
      ? answerOf("gone", {
          code: "timed_out",
          status: 504,
          headers: { "x-should-retry": "false" },
          attempts: [{ ...attempt, reason: "timed_out" }],
        })
      : answerOf("no", {
          code: "upstream",
          status: 400,
          attempts: [{ ...attempt, status: 400, reason: "invalid_request" }],
        });
  };
  const batch = await makeBatch(kit, { keyId, items: 2, estimate: estimateOf(300_000) });
  await untilEnded(kit, batch);
  expect(await state()).toEqual({ spent: 1000, held: 0 });
});
