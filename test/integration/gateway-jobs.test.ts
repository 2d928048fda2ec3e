import { expect, test } from "vitest";

import type { CallJob } from "#shared/queue/job.ts";
import { ask, bedKeys } from "../support/gateway-bed.ts";
import { openConsumer } from "../support/queue-bed.ts";
import { createStoreBed } from "../support/store-bed.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";

const bed = await useGatewayBed({ dispatcher: false, config: { jobs: { max_open: 2 } } });

const asJob = { prefer: "respond-async" };

async function makeJob(headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; id: string }> {
  const response = await bed.post("/v1/messages", ask(), { ...asJob, ...headers });
  const { id = "" } = (await response.json()) as { id?: string };
  return { status: response.status, id };
}

test("a key with too many open jobs is told so by a 429, until one of them has ended", async () => {
  const first = await makeJob();
  expect([first.status, (await makeJob()).status]).toEqual([202, 202]);
  const refused = await bed.post("/v1/messages", ask(), asJob);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({
    error: { type: "rate_limit_error", message: expect.stringContaining("2 jobs") },
  });
  expect((await makeJob({ "x-api-key": bedKeys.otherKey })).status).toBe(202);
  expect((await bed.depth()).background.waiting).toBe(3);

  expect((await bed.post(`/v1/jobs/${first.id}/cancel`, {})).status).toBe(200);
  await expect.poll(async () => (await makeJob()).status, { interval: 250 }).toBe(202);
  expect((await makeJob()).status).toBe(429);
});

test("of a canceled job whose dispatcher was lost it is not known what was asked", async () => {
  const { url, prefix } = bed.config.redis;
  await using store = createStoreBed(url);
  const taken = Promise.withResolvers<CallJob>();
  const handle = (job: CallJob) => {
    if (job.body?.includes("lost")) taken.resolve(job);
    return new Promise<void>(() => undefined);
  };
  await openConsumer(store, { prefix, lane: "background", lockMs: 60_000, handle });
  const messages = [{ role: "user", content: "lost" }];
  const made = await bed.post("/v1/messages", ask({ messages }), { ...asJob, "x-api-key": bedKeys.opusKey });
  const { id } = (await made.json()) as { id: string };
  const { head } = await taken.promise;
  const { client } = await store.connect("command");
  expect(await client.del(`{${prefix}}:background:${head.id}:lock`)).toBe(1);
  const canceled = await bed.post(`/v1/jobs/${id}/cancel`, {}, { "x-api-key": bedKeys.opusKey });
  expect(await canceled.json()).toMatchObject({ id, status: "canceled" });
  await expect
    .poll(() => bed.traces.get(head.keyId, head.id))
    .toMatchObject({ code: "cancelled", notes: ["attempts_incomplete"] });
});
