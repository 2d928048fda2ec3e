import { randomUUID } from "node:crypto";

import { afterAll, expect, test } from "vitest";

import { connectRedis } from "#shared/store/connect-redis.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { get, post, prompt, sdk } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// What is left in a Redis of their own by calls of every kind.

const redis = await startRedis();
const looking = connectRedis(redis.url, "command", { logger: createLogger({ name: "test", level: "silent" }) });
await looking.ready();
afterAll(async () => {
  await looking.close();
  await redis[Symbol.asyncDispose]();
});
const upstream = await useUpstream();
const stack = await useStack({ upstreams: [upstream], redisUrl: redis.url });

/** How many ms each key has left, by its name without the prefix; -1: for ever. */
async function timesLeft(): Promise<Map<string, number>> {
  const names = await looking.client.keys("*");
  const left = names.map(async (name) => [name.replace(/^\{[^}]*\}:/, ""), await looking.client.pttl(name)] as const);
  return new Map(await Promise.all(left));
}

test("everything has a time to live but what there is one of per lane", async () => {
  const again = (): { readonly headers: Readonly<Record<string, string>> } => ({
    headers: { "idempotency-key": randomUUID() },
  });
  upstream.next((exchange) => exchange.error(429, { headers: { "retry-after-ms": "300" } }));
  const large = "x".repeat(50_000);
  expect((await post(stack, prompt(large), again())).status).toBe(200);
  // One at a time: the batch would leave interactive calls what they used together.
  const answers = [
    await post(stack, prompt("counted"), { path: "/v1/messages/count_tokens", ...again() }),
    await post(stack, prompt("streamed", { stream: true }), again()),
    await post(stack, prompt("detached", { stream: true }), { headers: { "x-sluice-on-disconnect": "detach" } }),
    await post(stack, prompt(large), { headers: { prefer: "respond-async" } }),
    await post(stack, prompt("budgeted"), { headers: { "x-api-key": "sk-sluice-jobs" } }),
    await post(stack, prompt("limited"), { headers: { "x-api-key": "sk-sluice-slow" } }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 202, 200, 200]);
  const requests = Array.from({ length: 20 }, (_, at) => ({ custom_id: `i${at}`, params: prompt(`item ${at}`) }));
  const created = await post(stack, { requests }, { path: "/v1/messages/batches", ...again() });
  expect(created.status).toBe(200);
  const { id } = created.json as { id: string };
  await eventually(async () =>
    expect((await sdk(stack).messages.batches.retrieve(id)).processing_status).toBe("ended"),
  );
  const job = answers[3]?.json as { id: string };
  expect((await get(stack, `/v1/jobs/${job.id}?wait=20`)).status).toBe(200);

  // The queue's own; its events are cut to a few.
  const always = ["background", "count", "interactive"].flatMap((lane) => [`${lane}:events`, `${lane}:meta`]);
  await eventually(async () => {
    const left = await timesLeft();
    const lasting = [...left.keys()].filter((name) => left.get(name) === -1);
    expect(lasting.filter((name) => !always.includes(name))).toEqual([]);
  });
  const left = [...(await timesLeft())];
  const hoursLeft = (kind: string): number[] =>
    left.filter(([name]) => name.startsWith(`${kind}:`)).map(([, ms]) => Math.ceil(ms / 3_600_000));
  // An idempotency key holds for a day, the results of a batch for 29, and no body outlives its call.
  expect(hoursLeft("claim")).toEqual([24, 24, 24, 24]);
  expect(hoursLeft("batch-results")).toEqual([29 * 24]);
  expect(left.filter(([name]) => /bod(y|ies)/.test(name))).toEqual([]);
});
