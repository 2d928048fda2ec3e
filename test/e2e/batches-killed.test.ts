import type Anthropic from "@anthropic-ai/sdk";
import { expect, test } from "vitest";

import { get, sdk } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { useSimulator } from "../support/use-simulator.ts";
import { useStack } from "../support/use-stack.ts";

// What becomes of a batch when the processes that run it are killed.

const model = "claude-opus-4-8";

const simulator = await useSimulator();
const stack = await useStack({
  upstreams: [simulator],
  config: { models: { [model]: { routes: ["one"] } }, queue: { lock: "5s" } },
});

test("a process killed at any moment loses no item, doubles none and pays each once", async () => {
  const paying = { url: stack.url, key: "sk-sluice-jobs" };
  const requests = Array.from({ length: 300 }, (_, at) => ({
    custom_id: `k${at}`,
    params: {
      model,
      max_tokens: 100,
      messages: [{ role: "user" as const, content: `[sim: slow-first-byte=100ms] kill ${at}` }],
    },
  }));
  const { id } = await sdk(paying).messages.batches.create({ requests });
  for (const name of ["dispatcher", "worker", "gateway"]) {
    const victim = stack.get(name);
    await expect.poll(() => simulator.inFlight).toBeGreaterThan(0);
    await victim.kill("SIGKILL");
    victim.start();
    await victim.ready();
  }
  const batch = await eventually(
    async () => {
      const found = await sdk(paying).messages.batches.retrieve(id);
      expect(found.processing_status).toBe("ended");
      return found;
    },
    { timeoutMs: 50_000, everyMs: 50 },
  );
  const results = new Map<string, Anthropic.Messages.MessageBatchResult>();
  for await (const line of await sdk(paying).messages.batches.results(id)) {
    expect(results.has(line.custom_id)).toBe(false);
    results.set(line.custom_id, line.result);
  }
  expect([...results.values()].filter(({ type }) => type !== "succeeded")).toEqual([]);
  expect(batch.request_counts).toMatchObject({ succeeded: 300, errored: 0 });
  expect(results.size).toBe(300);
  const used = [...results.values()].map((result) => (result.type === "succeeded" ? result.message.usage : undefined));
  const costUsd =
    used.reduce((sum, usage) => sum + (usage ? usage.input_tokens * 5 + usage.output_tokens * 25 : 0), 0) / 1e6;
  const { budget } = (await get(paying, "/v1/usage")).json as { budget: { spent_usd: number; held_usd: number } };
  expect(budget.held_usd).toBe(0);
  expect(budget.spent_usd).toBeCloseTo(costUsd, 6);
  // Only what a lost worker had sent may have been sent twice.
  const { json } = await get({ url: simulator.url, key: "sim-1" }, "/__sim/requests");
  const asked = Object.entries((json as { by_prompt: Record<string, number> }).by_prompt).filter(([prompt]) =>
    prompt.includes("] kill "),
  );
  expect(asked).toHaveLength(300);
  for (const [prompt, times] of asked) expect(times, prompt).toBeLessThanOrEqual(2);
});
