import { expect, test, afterEach } from "vitest";
import { metrics } from "#shared/telemetry/metrics.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis-process.ts";
import { createStoreBed } from "../support/store-bed.ts";
import { createSessionKit, makeCall, never, okOutcome, startProxy } from "./fixtures/session-kit.ts";

const kit = createSessionKit();
afterEach(() => kit.close());

interface Readable {
  get(): Promise<{ readonly values: readonly { readonly value: number; readonly labels: object }[] }>;
}

/** The value with these labels; 0 before it was ever touched. */
async function read(metric: Readable, labels: object = {}): Promise<number> {
  const { values } = await metric.get();
  return values.find((entry) => JSON.stringify(entry.labels) === JSON.stringify(labels))?.value ?? 0;
}

test("open sessions are counted at both ends, and what breaks them as lost workers, orphans and questions", async () => {
  const release = Promise.withResolvers<void>();
  const before = {
    sessions: await read(metrics.sessions),
    lost: await read(metrics.workersLostTotal),
    held: await read(metrics.attachesTotal, { result: "held" }),
    unknown: await read(metrics.attachesTotal, { result: "unknown" }),
  };
  const worker = await kit.worker({
    async invoke() {
      await release.promise;
      return okOutcome({});
    },
  });
  const proxy = await startProxy(worker.address);
  const pool = kit.pool(proxy.address);
  await pool.ready(never);
  await eventually(async () => expect(await read(metrics.sessions)).toBe(before.sessions + 2));

  const call = makeCall();
  const lost = pool.invoke(call, { signal: AbortSignal.timeout(20_000), keepOrphan: true });
  await eventually(() => expect(worker.calls).toBe(1));
  expect(await read(metrics.orphans)).toBe(0);
  proxy.cut();
  await eventually(async () => expect(await read(metrics.orphans)).toBe(1));
  proxy.mend();
  release.resolve();
  await lost;
  expect(await read(metrics.orphans)).toBe(0);
  expect(await read(metrics.workersLostTotal)).toBe(before.lost + 1);
  expect(await read(metrics.attachesTotal, { result: "held" })).toBe(before.held + 1);
  expect(await pool.attach("call_nobody", { delivery: 2, signal: never })).toBeUndefined();
  expect(await read(metrics.attachesTotal, { result: "unknown" })).toBe(before.unknown + 1);
  await pool.close();
  await eventually(async () => expect(await read(metrics.sessions)).toBe(before.sessions));
  // A farewell is no loss.
  expect(await read(metrics.workersLostTotal)).toBe(before.lost + 1);
});

test("every process knows by itself whether it reaches Redis, and how often it did not", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const connection = await bed.connect("command");
  const before = await read(metrics.redisInterruptionsTotal, { purpose: "command" });
  expect(await read(metrics.redisUp)).toBe(1);
  await redis.kill();
  await eventually(async () => expect(await read(metrics.redisUp)).toBe(0));
  expect(await read(metrics.redisInterruptionsTotal, { purpose: "command" })).toBe(before + 1);
  await redis.start();
  await connection.ready(AbortSignal.timeout(20_000));
  expect(await read(metrics.redisUp)).toBe(1);
  expect(await read(metrics.redisInterruptionsTotal, { purpose: "command" })).toBe(before + 1);
});
