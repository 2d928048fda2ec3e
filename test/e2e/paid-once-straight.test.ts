import { setTimeout as sleep } from "node:timers/promises";

import { expect, test } from "vitest";

import { bestOf } from "../support/best-of.ts";
import { post, prompt } from "../support/clients.ts";
import type { Exchange } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// Calls that go straight to a worker while nothing waits in their lane can be joined like those of the queue.

/** How long a call goes on for nobody. */
const lingerMs = 4000;

const upstream = await useUpstream();
const queue = { interactive: "when_waiting", linger: `${lingerMs}ms` };
const stack = await useStack({ upstreams: [upstream], gateways: 2, config: { queue } });

const retry = { "x-stainless-retry-count": "1" };

async function holdOne(text: string): Promise<{ readonly exchange: Exchange; readonly leave: () => Promise<void> }> {
  const arrived = Promise.withResolvers<Exchange>();
  upstream.onRequest(arrived.resolve);
  const left = new AbortController();
  const call = post(stack, prompt(text), { signal: left.signal }).catch(() => undefined);
  const exchange = await arrived.promise;
  return {
    exchange,
    async leave() {
      left.abort();
      await call;
    },
  };
}

test("a retry joins the call whose caller has left, at another gateway", async () => {
  const { exchange, leave } = await holdOne("left");
  await leave();
  const second = post(stack.other, prompt("left"), { headers: retry });
  // Past the time that a call goes on for nobody.
  await sleep(lingerMs + 500);
  exchange.message("once");
  const answer = await second;
  expect(answer.text).toContain("once");
  expect(answer.headers.get("x-sluice-joined")).toMatch(/^joined call_/);
  expect(upstream.requests).toHaveLength(1);
});

test("a retry has the success that nobody saw", async () => {
  const first = await post(stack, prompt("seen"));
  const second = await post(stack.other, prompt("seen"), { headers: retry });
  expect(second.bytes.equals(first.bytes)).toBe(true);
  expect(second.headers.get("x-sluice-joined")).toMatch(/^joined call_/);
  expect(upstream.requests).toHaveLength(1);
});

test("a retry after a failure is a call of its own", async () => {
  upstream.next(
    (exchange) => exchange.error(529),
    (exchange) => exchange.error(529),
  );
  expect((await post(stack, prompt("failed"))).status).toBe(529);
  const second = await post(stack.other, prompt("failed"), { headers: retry });
  expect(second.text).toContain("echo: failed");
  expect(second.headers.get("x-sluice-joined")).toBeNull();
});

test("a retry takes the call over from its worker when the gateway that had it is killed", async () => {
  const { exchange, leave } = await holdOne("killed");
  await stack.get("gateway-1").kill("SIGKILL");
  await leave();
  const second = post(stack.other, prompt("killed"), { headers: retry });
  await sleep(500);
  exchange.message("not lost");
  expect((await second).text).toContain("not lost");
  expect(upstream.requests).toHaveLength(1);
});

test("nobody joins: the call is cancelled, to the provider's socket", async () => {
  const leaveAlone = async (round: number): Promise<number> => {
    const { exchange, leave } = await holdOne(`nobody ${round}`);
    const leftAt = performance.now();
    await leave();
    expect(await exchange.request.closed).toBe(false);
    return performance.now() - leftAt;
  };
  const tookMs = await bestOf(3, leaveAlone, lingerMs + 2000);
  expect(tookMs).toBeGreaterThan(lingerMs - 200);
  expect(tookMs).toBeLessThan(lingerMs + 2000);
});

test("an idempotency key joins and replays here too", async () => {
  const arrived = Promise.withResolvers<Exchange>();
  upstream.onRequest(arrived.resolve);
  const headers = { "idempotency-key": "straight-1" };
  const first = post(stack, prompt("keyed"), { headers });
  const exchange = await arrived.promise;
  const second = post(stack.other, prompt("keyed"), { headers });
  await sleep(300);
  exchange.message("one answer");
  for (const { text } of await Promise.all([first, second])) expect(text).toContain("one answer");
  const third = await post(stack.other, prompt("keyed"), { headers });
  expect(third.headers.get("x-sluice-joined")).toMatch(/^replayed call_/);
  expect(upstream.requests).toHaveLength(1);
});
