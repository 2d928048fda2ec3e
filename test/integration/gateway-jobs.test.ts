import { expect, test } from "vitest";

import { ask, bedKeys } from "../support/gateway-bed.ts";
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
