import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post, prompt } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { startStack } from "../support/stack.ts";
import type { Exchange } from "../support/upstream.ts";
import { useUpstream } from "../support/use-upstream.ts";

// Processes that stand still for a while and go on, as virtual machines do. With two workers nobody finds out by luck
// that a call is made already.

const lockMs = 3000;
/** An idle dispatcher offers its room within this. */
const offeredMs = 2500;
const calls = 12;

const upstream = await useUpstream();
const redis = await startRedis();
const stack = await startStack({
  upstreams: [upstream],
  dispatchers: 2,
  workers: 2,
  redisUrl: redis.url,
  config: { queue: { lock: `${lockMs}ms` } },
});
afterAll(async () => {
  await stack.stop();
  await redis.kill();
});
beforeAll(async () => {
  await post(stack, prompt("warm"));
  await sleep(offeredMs);
});

interface Asked {
  readonly texts: readonly string[];
  /** How often a provider was asked for each. */
  counts(): number[];
  /** Answers all of them, and waits until their callers have heard. */
  finish(): Promise<void>;
}

/** Whole calls that no provider answers yet. */
async function ask(name: string, pauseMs: number): Promise<Asked> {
  const held: Exchange[] = [];
  upstream.onRequest((exchange) => void held.push(exchange));
  const texts = Array.from({ length: calls }, (_, at) => `${name} ${at}.`);
  const answers: Promise<unknown>[] = [];
  for (const text of texts) {
    answers.push(post(stack, prompt(text)));
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return {
    texts,
    counts: () => texts.map((text) => upstream.with(text).length),
    finish: async () => {
      for (const exchange of held) exchange.message("x");
      await Promise.all(answers);
    },
  };
}

const once = Array.from({ length: calls }, () => 1);

test("what a dispatcher was given before it stood still for longer than its lock is made once", async () => {
  const still = stack.get("dispatcher-1");
  still.signal("SIGSTOP");
  const asked = await ask("frozen", 30);
  await eventually(() => expect(asked.counts()).toEqual(once));
  still.signal("SIGCONT");
  await sleep(1500);
  const counts = asked.counts();
  await asked.finish();
  expect(counts).toEqual(once);
});

test("calls that are added while Redis stands still for less than a second are made once", async () => {
  await sleep(offeredMs);
  redis.freeze();
  const asked = await ask("stalled", 0);
  await sleep(900);
  redis.thaw();
  await eventually(() => expect(Math.min(...asked.counts())).toBe(1));
  await sleep(1500);
  const counts = asked.counts();
  await asked.finish();
  expect(counts).toEqual(once);
});

test("a call whose caller leaves while its dispatcher stands still for a moment is not made", async () => {
  await sleep(offeredMs);
  upstream.onRequest(() => undefined);
  const path = "/v1/messages/count_tokens";
  const texts = Array.from({ length: 4 }, (_, at) => `left ${at}.`);
  for (const text of texts) {
    const leaving = new AbortController();
    for (const name of ["dispatcher-1", "dispatcher-2"]) stack.get(name).signal("SIGSTOP");
    const call = post(stack, prompt(text), { path, signal: leaving.signal }).catch(() => undefined);
    await sleep(100);
    leaving.abort();
    await call;
    await sleep(100);
    for (const name of ["dispatcher-1", "dispatcher-2"]) stack.get(name).signal("SIGCONT");
    await sleep(500);
  }
  expect(texts.map((text) => upstream.with(text).length)).toEqual([0, 0, 0, 0]);
});
