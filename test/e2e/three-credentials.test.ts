import { afterAll, beforeAll, expect, test } from "vitest";

import { post } from "../support/clients.ts";
import { startStack, type Stack } from "../support/stack.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

// Three accounts at their limit, and more calls than one may wait for.

const model = "claude-opus-4-8";
const blockMs = 20_000;
const calls = 200;

let upstream: Upstream;
let stack: Stack;

beforeAll(async () => {
  upstream = await startUpstream();
  const routes = ["one", "two", "three"];
  stack = await startStack({ upstreams: [upstream, upstream, upstream], config: { models: { [model]: { routes } } } });
});
afterAll(async () => {
  await stack?.stop();
  await upstream?.close();
});

test("calls that find every credential limited are answered right after the reset, and nobody is asked before", async () => {
  const resetAt = Date.now() + blockMs;
  const early: string[] = [];
  upstream.onRequest((exchange) => {
    const leftMs = resetAt - Date.now();
    if (leftMs > 0) early.push(String(exchange.request.headers["x-api-key"]));
    if (leftMs <= 0) exchange.message("at last");
    else exchange.error(429, { headers: { "retry-after-ms": String(leftMs) } });
  });
  const ask = async (at: number): Promise<{ status: number; endedAt: number }> => {
    const body = { model, max_tokens: 10, messages: [{ role: "user", content: `call ${at}` }] };
    const { status } = await post(stack, body);
    return { status, endedAt: Date.now() };
  };
  const first = ask(0);
  await expect.poll(() => upstream.requests.length).toBe(3);
  const answers = await Promise.all([first, ...Array.from({ length: calls - 1 }, (_, at) => ask(at + 1))]);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(Math.max(...answers.map(({ endedAt }) => endedAt)) - resetAt).toBeLessThanOrEqual(2000);
  // What each credential was asked to learn of its limit.
  expect(early.toSorted((a, b) => a.localeCompare(b))).toEqual(["sim-1", "sim-2", "sim-3"]);
  expect(upstream.requests).toHaveLength(3 + calls);
});
