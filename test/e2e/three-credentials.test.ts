import { expect, test } from "vitest";

import { bestOf } from "../support/best-of.ts";
import { postAgain } from "../support/clients.ts";
import type { ConfigTree } from "../support/stack.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// Three accounts at their limit, and more calls than one may wait for.

/** Long enough for all calls to come in on a machine that stands still now and then. */
const blockMs = 8000;
const calls = 200;
/** Each with a model and credentials of its own. */
const rounds = 3;
const modelOf = (round: number): string => `claude-round-${round}`;

const upstream = await useUpstream();
const providers: Record<string, ConfigTree> = {};
const models: Record<string, ConfigTree> = {};
for (let round = 0; round < rounds; round++) {
  const routes = ["one", "two", "three"].map((name) => `${name}-${round}`);
  for (const name of routes) providers[name] = { type: "anthropic", base_url: upstream.url, api_key: name };
  models[modelOf(round)] = { routes };
}
const stack = await useStack({ config: { providers, models } });

test(
  "calls that find every credential limited are answered right after the reset, and nobody is asked before",
  { timeout: 120_000 },
  async () => {
    expect(await bestOf(rounds, askAll, 2000)).toBeLessThanOrEqual(2000);
  },
);

/** How long after the reset the last answer was there. */
async function askAll(round: number): Promise<number> {
  upstream.clear();
  const resetAt = Date.now() + blockMs;
  const early: string[] = [];
  upstream.onRequest((exchange) => {
    const leftMs = resetAt - Date.now();
    if (leftMs > 0) early.push(String(exchange.request.headers["x-api-key"]));
    if (leftMs <= 0) exchange.message("at last");
    else exchange.error(429, { headers: { "retry-after-ms": String(leftMs) } });
  });
  const ask = async (at: number): Promise<{ status: number; endedAt: number }> => {
    const body = { model: modelOf(round), max_tokens: 10, messages: [{ role: "user", content: `call ${at}` }] };
    const { status } = await postAgain(stack, body);
    return { status, endedAt: Date.now() };
  };
  const first = ask(0);
  await expect.poll(() => upstream.requests.length).toBe(3);
  const answers = await Promise.all([first, ...Array.from({ length: calls - 1 }, (_, at) => ask(at + 1))]);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  // What each credential was asked to learn of its limit.
  expect(early.toSorted((a, b) => a.localeCompare(b))).toEqual(
    ["one", "three", "two"].map((name) => `${name}-${round}`),
  );
  expect(upstream.requests).toHaveLength(3 + calls);
  return Math.max(...answers.map(({ endedAt }) => endedAt)) - resetAt;
}
