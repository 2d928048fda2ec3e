import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { bestOf } from "../support/best-of.ts";
import { answerWhole, ask, bedKeys, startGatewayBed, wholeOutcome, type GatewayBed } from "../support/gateway-bed.ts";
import { startRedis, type RedisProcess } from "../support/redis-process.ts";
import { messageBody } from "../support/wire-samples.ts";

let redis: RedisProcess;
let bed: GatewayBed;
beforeEach(async () => {
  redis = await startRedis();
  bed = await startGatewayBed({ redisUrl: redis.url });
});
afterEach(async () => {
  redis.thaw();
  await bed.close();
  await redis[Symbol.asyncDispose]();
});

interface Gate {
  /** Lets the calls that wait in the worker end. */
  open(): void;
}

/** The worker holds every call until the gate opens, and answers with how often it has been asked for that call. */
function holdCalls(): Gate {
  const gate = Promise.withResolvers<void>();
  const asked = new Map<string, number>();
  bed.script.invoke = async (call) => {
    const times = (asked.get(call.head.id) ?? 0) + 1;
    asked.set(call.head.id, times);
    await gate.promise;
    return wholeOutcome(messageBody(`asked ${times}`));
  };
  return { open: gate.resolve };
}

async function textOf(response: Response): Promise<string> {
  expect(response.status).toBe(200);
  const { content } = (await response.json()) as { content: { text: string }[] };
  return content[0]?.text ?? "";
}

describe("while Redis is away", () => {
  test("calls go straight to a worker, and the trace says so", async () => {
    await redis.kill();
    await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
    const tookMs = await bestOf(
      3,
      async () => {
        const startedAt = performance.now();
        expect((await bed.post("/v1/messages", ask())).status).toBe(200);
        return performance.now() - startedAt;
      },
      1000,
    );
    expect(tookMs).toBeLessThan(1000);
    expect(bed.calls.at(-1)).toMatchObject({ delivery: 1 });
    await expect.poll(() => bed.lines.join("")).toContain('"notes":["redis_away"]');
  });

  test("large bodies, counts and streams are answered too", async () => {
    await redis.kill();
    await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
    const large = ask({ system: "x".repeat(100_000) });
    expect((await bed.post("/v1/messages", large)).status).toBe(200);
    expect((await bed.post("/v1/messages/count_tokens", ask())).status).toBe(200);
    const streamed = await bed.post("/v1/messages", ask({ stream: true }));
    expect(await streamed.text()).toContain("message_stop");
  });

  test("the gateway stays ready", async () => {
    await expect.poll(() => bed.gateway.service.ready()).toEqual([]);
    await redis.kill();
    await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
    expect(bed.gateway.service.ready()).toEqual([]);
  });

  test("traces cannot be read, and that is a 529", async () => {
    await redis.kill();
    await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
    const response = await fetch(`${bed.url}/v1/requests/call_x`, { headers: { "x-api-key": bedKeys.key } });
    expect(response.status).toBe(529);
  });

  test("a call waits for capacity at the gateway, which then owns it", async () => {
    await redis.kill();
    await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
    const askedAt: number[] = [];
    let blockedUntil = 0;
    bed.script.invoke = (call, context) => {
      askedAt.push(Date.now());
      if (askedAt.length > 1) return answerWhole(call, context);
      blockedUntil = Date.now() + 300;
      return Promise.resolve(wholeOutcome({}, { status: 429, code: "rate_limited", blockedUntil }));
    };
    const response = await bed.post("/v1/messages", ask());
    expect([response.status, askedAt.length]).toEqual([200, 2]);
    expect(askedAt[1]).toBeGreaterThanOrEqual(blockedUntil);
    // Of what it waited, all but the way there and back.
    expect(Number(response.headers.get("x-sluice-queue-ms"))).toBeGreaterThan(0);
    // One that was limited and one that answered.
    expect(response.headers.get("x-sluice-attempts")).toBe("2");
  });
});

describe("when Redis goes away under calls that run", () => {
  test("they are attached to, and no provider is asked twice", async () => {
    const gate = holdCalls();
    const calls = Array.from({ length: 5 }, () => bed.post("/v1/messages", ask()));
    await expect.poll(() => bed.worker?.calls).toBe(5);
    await redis.kill();
    setTimeout(() => gate.open(), 3500);
    const texts = await Promise.all((await Promise.all(calls)).map(textOf));
    expect(texts).toEqual(Array(5).fill("asked 1"));
  });

  test("and comes back at once, they are answered, and no provider is asked twice", async () => {
    const gate = holdCalls();
    const call = bed.post("/v1/messages", ask());
    await expect.poll(() => bed.worker?.calls).toBe(1);
    await redis.kill();
    await redis.start();
    setTimeout(() => gate.open(), 1000);
    expect(await textOf(await call)).toBe("asked 1");
  });
});

test("a job that lay in the queue when Redis froze is not run a second time when it thaws", async () => {
  await bed.close();
  bed = await startGatewayBed({ redisUrl: redis.url, dispatcher: false });
  const call = bed.post("/v1/messages", ask());
  await expect.poll(() => bed.depth()).toMatchObject({ interactive: { waiting: 1 } });
  redis.freeze();
  expect((await call).status).toBe(200);
  expect(bed.calls).toHaveLength(1);
  redis.thaw();
  await expect
    .poll(() => bed.depth().catch(() => undefined))
    .toMatchObject({
      interactive: { waiting: 0 },
    });
});

test("an add whose fate is unknown is answered once, and its copy in the queue is dropped", async () => {
  await bed.close();
  bed = await startGatewayBed({ redisUrl: redis.url, dispatcher: false });
  redis.freeze();
  const response = await bed.post("/v1/messages", ask());
  expect(response.status).toBe(200);
  expect(bed.calls).toHaveLength(1);
  redis.thaw();
  await expect
    .poll(() => bed.depth().catch(() => undefined))
    .toMatchObject({
      interactive: { waiting: 0 },
    });
});

test("a job that Redis lost is written again, and its caller is answered", async () => {
  await bed.close();
  bed = await startGatewayBed({ redisUrl: redis.url, dispatcher: false });
  const call = bed.post("/v1/messages", ask());
  await expect.poll(() => bed.depth()).toMatchObject({ interactive: { waiting: 1 } });
  // Without persistence it comes back with nothing in it.
  await redis.kill();
  await redis.start();
  await expect
    .poll(() => bed.depth().catch(() => undefined))
    .toMatchObject({
      interactive: { waiting: 1 },
    });
  expect(bed.calls).toHaveLength(0);
  await redis.kill();
  expect((await call).status).toBe(200);
  expect(bed.calls).toHaveLength(1);
});
