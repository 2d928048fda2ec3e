import { expect, inject, test } from "vitest";

import { startCutProxy } from "../support/cut-proxy.ts";
import { ask, startGatewayBed } from "../support/gateway-bed.ts";

// A gateway may be killed at any moment: a call that a provider could have been asked for, and that no retry can find,
// is paid for twice.

test("a call that goes straight to a worker can be found by a retry before any worker has it", async () => {
  const redisUrl = new URL(inject("redisUrl"));
  await using closing = new AsyncDisposableStack();
  const toRedis = closing.adopt(await startCutProxy(redisUrl.host), (proxy) => proxy.close());
  redisUrl.host = toRedis.address;
  const config = { queue: { interactive: "when_waiting" } };
  const bed = closing.use(await startGatewayBed({ redisUrl: redisUrl.href, config }));
  const sent: string[] = [];
  toRedis.onSent((bytes) => bytes.includes(":ask:") && sent.push("registration"));
  bed.wires[0]?.onSent((bytes) => bytes.includes("asked once") && sent.push("call"));
  for (let times = 0; times < 3; times++) {
    const answer = await bed.post("/v1/messages", ask({ system: "asked once" }));
    expect(answer.status).toBe(200);
    await answer.text();
  }
  expect(bed.calls).toHaveLength(3);
  expect(sent).toEqual(Array.from({ length: 3 }, () => ["registration", "call"]).flat());
});
