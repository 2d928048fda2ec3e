/** What a huge batch costs everybody else: interactive calls beside it, and a small batch of another key behind it. */
import { setTimeout as sleep } from "node:timers/promises";
import { batchBody, cancelBatch, postBatch, readBatch, untilEnded, type Caller } from "./batch-client.ts";
import { startSluice, type StackOptions } from "./targets.ts";

export interface FairnessFigures {
  /** 95 % of interactive calls waited no longer than so many ms, in the queue and for capacity. */
  readonly queueAloneMs: number;
  readonly queueBesideMs: number;
  readonly answeredAloneMs: number;
  readonly answeredBesideMs: number;
  readonly failed: number;
  readonly smallAloneMs: number;
  readonly smallBehindMs: number;
  /** Items of the huge batch a second while all that went on. */
  readonly itemsPerSecond: number;
}

const smallItems = 100;
const measuredMs = 15_000;
const callEveryMs = 50;

interface Sample {
  readonly queueMs: number;
  readonly ms: number;
  readonly ok: boolean;
}

async function call({ url, key }: Caller): Promise<Sample> {
  const startedAt = performance.now();
  const response = await fetch(`${url}/v1/messages`, {
    method: "POST",
    headers: { "x-api-key": key, "content-type": "application/json" },
    body: JSON.stringify({
      model: "claude-bench",
      max_tokens: 10,
      messages: [{ role: "user", content: `interactive ${startedAt}` }],
    }),
  });
  await response.arrayBuffer();
  const queueMs = Number(response.headers.get("x-sluice-queue-ms") ?? NaN);
  return { queueMs, ms: performance.now() - startedAt, ok: response.ok };
}

async function callFor(caller: Caller, ms: number): Promise<readonly Sample[]> {
  const calls: Promise<Sample>[] = [];
  for (const until = performance.now() + ms; performance.now() < until;) {
    calls.push(call(caller));
    await sleep(callEveryMs);
  }
  return Promise.all(calls);
}

function p95(samples: readonly Sample[], of: "queueMs" | "ms"): number {
  const sorted = samples.map((each) => each[of]).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? NaN;
}

async function runSmall(caller: Caller, name: string): Promise<number> {
  const startedAt = performance.now();
  const { batch } = await postBatch(
    caller,
    batchBody(smallItems, (index) => `${name} ${index}`),
  );
  await untilEnded(caller, batch.id, { timeoutMs: 120_000 });
  return performance.now() - startedAt;
}

export async function measureFairness(
  options: Pick<StackOptions, "workDir" | "upstreamUrl"> & { readonly items: number },
): Promise<FairnessFigures> {
  const stack = await startSluice({ ...options, name: "soak-fairness", port: 19_970, mode: "always", keys: 2 });
  try {
    const rules = { most: 20, serviceMs: 100, share429: 0, share529: 0 };
    await fetch(`${options.upstreamUrl}/__rules`, { method: "POST", body: JSON.stringify(rules) });
    const other = { url: stack.url, key: "other-key-1" };
    await callFor(stack, 2000);
    await runSmall(other, "warm");
    const smallAloneMs = await runSmall(other, "alone");
    const alone = await callFor(stack, measuredMs);
    const body = batchBody(options.items, (index) => `huge ${index}`);
    const { id } = (await postBatch(stack, body)).batch;
    await sleep(5000);
    const doneBefore = (await readBatch(stack, id))?.progress.succeeded ?? NaN;
    const startedAt = performance.now();
    const beside = await callFor(stack, measuredMs);
    const doneAfter = (await readBatch(stack, id))?.progress.succeeded ?? NaN;
    const itemsPerSecond = (1000 * (doneAfter - doneBefore)) / (performance.now() - startedAt);
    const smallBehindMs = await runSmall(other, "behind");
    await cancelBatch(stack, id);
    return {
      queueAloneMs: p95(alone, "queueMs"),
      queueBesideMs: p95(beside, "queueMs"),
      answeredAloneMs: p95(alone, "ms"),
      answeredBesideMs: p95(beside, "ms"),
      failed: [...alone, ...beside].filter(({ ok }) => !ok).length,
      smallAloneMs,
      smallBehindMs,
      itemsPerSecond,
    };
  } finally {
    await stack.close();
  }
}
