import { setTimeout as sleep } from "node:timers/promises";

import { beforeEach, describe, expect, test } from "vitest";

import { tokenMetadata } from "#shared/rpc/credentials.ts";
import { post, prompt, streamedText, type Answered } from "../support/clients.ts";
import { connectHealth } from "../support/health-probe.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

// Processes that leave, and processes that are killed, with calls in their hands. Two of each; what a test ended is
// started again before the next one.

const upstream = await useUpstream();
const queue = { lock: "5s" };
const stack = await useStack({ upstreams: [upstream], gateways: 2, dispatchers: 2, workers: 2, config: { queue } });
beforeEach(() => sessionsOpen());

const inFlight = 50;

/** Resolves when everybody reaches both workers again: until then calls go around the one that came back. */
async function sessionsOpen(): Promise<void> {
  for (const name of ["gateway-1", "gateway-2", "dispatcher-1", "dispatcher-2"]) {
    const { opsUrl } = stack.get(name);
    await expect.poll(async () => (await fetch(`${opsUrl}/readyz`)).json()).toMatchObject({ health: { workers: 2 } });
  }
}

/** Holds every whole call until it is told to answer, and then answers every other at once. */
function holdAnswers(): () => void {
  const gate = Promise.withResolvers<void>();
  upstream.onRequest(async (exchange) => {
    await gate.promise;
    exchange.message(`answer to ${exchange.request.prompt}`);
  });
  return gate.resolve;
}

/** Fifty whole calls; resolves when all of them are with the provider, with their answers to come. */
async function fiftyCalls(name: string): Promise<Promise<Answered>[]> {
  const answers = Array.from({ length: inFlight }, (_, index) => post(stack, prompt(`${name} ${index}`)));
  await expect.poll(() => upstream.requests.length).toBe(inFlight);
  return answers;
}

/** Every call has its own answer, from at most one request more than it needed; tells how many those were in all. */
async function expectAll(answers: readonly Promise<Answered>[], name: string): Promise<number> {
  const settled = await Promise.all(answers);
  expect(settled.map(({ status }) => status)).toEqual(Array(inFlight).fill(200));
  for (const [index, { text }] of settled.entries()) {
    expect(text).toContain(`answer to ${name} ${index}`);
    expect(upstream.with(`${name} ${index}`).length).toBeLessThanOrEqual(2);
  }
  return upstream.requests.length - inFlight;
}

describe("SIGTERM with calls running", () => {
  test.each(["worker-1", "dispatcher-1", "gateway-1"])(
    "%s drains: its calls end as if nothing were, exit code 0",
    async (name) => {
      upstream.onRequest(async (exchange) => {
        if (!exchange.request.stream) {
          await sleep(700);
          exchange.message(`whole ${exchange.request.prompt}`);
          return;
        }
        const response = exchange.openStream();
        response.write(messageStart() + blockStart());
        for (let delta = 0; delta < 7; delta++) {
          response.write(textDelta(`${delta} `));
          await sleep(100);
        }
        response.end(streamEnd());
      });
      const calls = Array.from({ length: 20 }, (_, index) =>
        post(stack, prompt(`${name} ${index}`, { stream: index % 2 === 0 })),
      );
      await expect.poll(() => upstream.requests.length).toBe(20);
      const leaving = stack.get(name).kill("SIGTERM");
      for (const [index, answer] of (await Promise.all(calls)).entries()) {
        expect(answer.status).toBe(200);
        if (index % 2 === 0) expect(answer.text).toContain("message_stop");
        else expect(answer.text).toContain(`whole ${name} ${index}`);
      }
      expect(await leaving).toEqual({ code: 0, signal: null });
      expect(upstream.requests).toHaveLength(20);
      // Those that stay go on serving.
      upstream.onRequest(undefined);
      expect((await post(stack.other, prompt("still there"))).text).toContain("echo: still there");
      expect(streamedText(await post(stack.other, prompt("still there", { stream: true })))).toBe("echo: still there");
      if (name === "gateway-1") await expect(post(stack, prompt("closed"))).rejects.toThrow("fetch failed");
    },
  );

  test("a worker that drains tells gRPC health probes so, with calls still running", async () => {
    const answer = Promise.withResolvers<void>();
    upstream.onRequest(async (exchange) => {
      await answer.promise;
      exchange.message("at last");
    });
    const calls = Array.from({ length: 4 }, (_, index) => post(stack, prompt(`probed ${index}`)));
    await expect.poll(() => upstream.requests.length).toBe(4);
    const worker = stack.get("worker-1");
    const probe = connectHealth(`127.0.0.1:${worker.port}`, tokenMetadata(""));
    const { heard } = probe.watch("");
    await expect.poll(() => heard).toEqual(["SERVING"]);
    const leaving = worker.kill("SIGTERM");
    await expect.poll(() => heard).toEqual(["SERVING", "NOT_SERVING"]);
    expect(await probe.check("worker.v1.WorkerService")).toBe("NOT_SERVING");
    answer.resolve();
    for (const { status } of await Promise.all(calls)) expect(status).toBe(200);
    expect(await leaving).toEqual({ code: 0, signal: null });
    probe.close();
  });

  test("a second one ends a process at once", async () => {
    upstream.onRequest(() => {});
    const call = post(stack, prompt("never answered", { stream: true })).catch((reason: unknown) => reason);
    await expect.poll(() => upstream.requests.length).toBe(1);
    const gateway = stack.get("gateway-1");
    const leaving = gateway.kill("SIGTERM");
    await expect.poll(async () => (await fetch(`${gateway.opsUrl}/readyz`)).status).toBe(503);
    gateway.signal("SIGTERM");
    expect((await leaving).code).toBe(1);
    expect(await call).toBeInstanceOf(Error);
    expect(await upstream.requests[0]?.closed).toBe(false);
  });
});

describe("fifty whole answers in flight survive", () => {
  test("a killed worker", async () => {
    const answer = holdAnswers();
    const answers = await fiftyCalls("killed worker");
    await stack.get("worker-1").kill("SIGKILL");
    answer();
    const extra = await expectAll(answers, "killed worker");
    expect(extra).toBeGreaterThan(0);
    expect(extra).toBeLessThan(inFlight);
  });

  test("all workers killed, one of which comes back", async () => {
    const answer = holdAnswers();
    const answers = await fiftyCalls("killed workers");
    await Promise.all(["worker-1", "worker-2"].map((name) => stack.get(name).kill("SIGKILL")));
    answer();
    stack.get("worker-1").start();
    expect(await expectAll(answers, "killed workers")).toBeLessThanOrEqual(inFlight);
  });

  test("a killed dispatcher: the workers keep what they have, and nothing is asked twice", async () => {
    const answer = holdAnswers();
    const answers = await fiftyCalls("killed dispatcher");
    await stack.get("dispatcher-1").kill("SIGKILL");
    answer();
    expect(await expectAll(answers, "killed dispatcher")).toBe(0);
  });

  test("a killed gateway: its callers are gone, and nobody else's", async () => {
    const answer = holdAnswers();
    const lost = Array.from({ length: 10 }, (_, index) => post(stack, prompt(`lost ${index}`)).catch(() => "lost"));
    const kept = Array.from({ length: 10 }, (_, index) => post(stack.other, prompt(`kept ${index}`)));
    await expect.poll(() => upstream.requests.length).toBe(20);
    await stack.get("gateway-1").kill("SIGKILL");
    expect(await Promise.all(lost)).toEqual(Array(10).fill("lost"));
    answer();
    for (const { status } of await Promise.all(kept)) expect(status).toBe(200);
  });
});

test("streams whose worker is killed: before content another one takes over, after content they end with an error", async () => {
  const begun = messageStart() + blockStart() + textDelta("so far");
  upstream.onRequest((exchange) => {
    const { prompt: text } = exchange.request;
    if (text.startsWith("after")) exchange.openStream().write(begun);
    else if (upstream.with(text).length > 1) exchange.stream("from the other worker");
  });
  const ask = (text: string): Promise<Answered>[] =>
    Array.from({ length: 6 }, (_, index) => post(stack, prompt(`${text} ${index}`, { stream: true })));
  const after = ask("after");
  const before = ask("before");
  await expect.poll(() => upstream.requests.length).toBe(12);
  const first = [...upstream.requests];
  const broken = new Set<string>();
  for (const { closed, prompt: text } of first) void closed.then(() => broken.add(text));
  // Calls are spread over both workers: each of them has some of either kind.
  await stack.get("worker-1").kill("SIGKILL");
  // Those without content that it had are with the other one by now, and answered there.
  await expect
    .poll(() => {
      const moved = [...broken].filter((text) => text.startsWith("before"));
      return moved.length > 0 && moved.every((text) => upstream.with(text).length > 1);
    })
    .toBe(true);
  await sleep(200);
  stack.get("worker-1").start();
  await stack.get("worker-1").ready();
  await sessionsOpen();
  await stack.get("worker-2").kill("SIGKILL");
  for (const answer of await Promise.all(after)) {
    expect(answer.text).toMatch(/so far[^]*event: error\ndata: /);
    expect(answer.text).not.toContain("message_stop");
  }
  for (const answer of await Promise.all(before)) expect(streamedText(answer)).toBe("from the other worker");
});
