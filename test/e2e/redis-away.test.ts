import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, expect, test } from "vitest";

import { get, post, prompt, streamedText, type Answered } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// A Redis of its own that is killed, frozen and started again, empty, under running calls.

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());
const upstream = await useUpstream();
const stack = await useStack({ upstreams: [upstream], redisUrl: redis.url });

const inFlight = 50;

async function fiftyCalls(name: string, answerAfterMs: number): Promise<Promise<Answered>[]> {
  upstream.clear();
  upstream.onRequest(async (exchange) => {
    await sleep(answerAfterMs);
    exchange.message(`answer to ${exchange.request.prompt}`);
  });
  const answers = Array.from({ length: inFlight }, (_, index) => post(stack, prompt(`${name} ${index}`)));
  await expect.poll(() => upstream.requests.length).toBe(inFlight);
  return answers;
}

/** Every call has its own answer; tells how often the provider was asked more than once for one. */
async function expectAll(answers: readonly Promise<Answered>[], name: string): Promise<number> {
  const settled = await Promise.all(answers);
  expect(settled.map(({ status }) => status)).toEqual(Array(inFlight).fill(200));
  for (const [index, { text }] of settled.entries()) expect(text).toContain(`answer to ${name} ${index}`);
  for (let index = 0; index < inFlight; index++)
    expect(upstream.with(`${name} ${index}`).length, `${name} ${index}`).toBeLessThanOrEqual(2);
  return upstream.requests.length - inFlight;
}

/** A trace is written a moment after the answer, and not at all while Redis is away. */
async function notesOf(answer: Answered): Promise<unknown> {
  const path = `/v1/requests/${answer.headers.get("x-sluice-request-id")}`;
  return eventually(
    async () => {
      const trace = await get(stack, path);
      expect(trace.status).toBe(200);
      return (trace.json as { notes: unknown }).notes;
    },
    { timeoutMs: 2000 },
  );
}

test("fifty whole answers survive a Redis that is restarted, empty", async () => {
  const answers = await fiftyCalls("restart", 1500);
  await redis.kill();
  await sleep(500);
  await redis.start();
  expect(await expectAll(answers, "restart")).toBe(0);
});

test("fifty whole answers survive a Redis that stays away, and new calls go on without it", async () => {
  const answers = await fiftyCalls("away", 1500);
  await redis.kill();
  expect(await expectAll(answers, "away")).toBe(0);
  upstream.clear();
  const [whole, streamed, counted] = await Promise.all([
    post(stack, prompt("whole without")),
    post(stack, prompt("stream without", { stream: true })),
    post(stack, prompt("count"), { path: "/v1/messages/count_tokens" }),
  ]);
  expect(whole.text).toContain("echo: whole without");
  expect(streamedText(streamed)).toBe("echo: stream without");
  expect(counted.json).toEqual({ input_tokens: 5 });
  expect((await fetch(`${stack.get("gateway").opsUrl}/readyz`)).status).toBe(200);
});

test("when it is back, calls go through the queue again", async () => {
  await redis.start();
  const dispatcher = stack.get("dispatcher");
  await expect.poll(async () => (await fetch(`${dispatcher.opsUrl}/readyz`)).status).toBe(200);
  await eventually(
    async () => {
      const answer = await post(stack, prompt("back"));
      expect(answer.status).toBe(200);
      expect(await notesOf(answer)).toEqual([]);
    },
    { timeoutMs: 30_000 },
  );
  const answers = await fiftyCalls("again", 200);
  expect(await expectAll(answers, "again")).toBe(0);
});

test("a Redis that is frozen for three seconds loses no call", async () => {
  const answers = await fiftyCalls("frozen", 1000);
  redis.freeze();
  const late = Array.from({ length: 5 }, (_, index) => post(stack, prompt(`late ${index}`)));
  await sleep(3000);
  redis.thaw();
  const settled = await Promise.all([...answers, ...late]);
  expect(settled.map(({ status }) => status)).toEqual(Array(inFlight + 5).fill(200));
  for (let index = 0; index < 5; index++) expect(settled[inFlight + index]?.text).toContain(`answer to late ${index}`);
});
