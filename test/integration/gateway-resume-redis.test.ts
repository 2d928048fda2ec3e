import { expect, test } from "vitest";

import type { StreamSink } from "#shared/rpc/worker-server.ts";
import { connectRedis } from "#shared/store/connect-redis.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { cutEvents, readStream, withoutComments, withoutIds } from "../support/event-streams.ts";
import { eventually } from "../support/eventually.ts";
import { ask, bedKeys, beginStream, endStream, startGatewayBed, type GatewayBed } from "../support/gateway-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

const detach = { "x-sluice-on-disconnect": "detach" };
const first = messageStart("m", "msg_1") + blockStart();

interface Open {
  readonly response: Response;
  readonly id: string;
  readonly sink: StreamSink;
  readonly signal: AbortSignal;
}

/** A stream that may outlive its caller and goes on at the test's word. */
async function openStream(bed: GatewayBed): Promise<Open> {
  const opened = Promise.withResolvers<{ sink: StreamSink; signal: AbortSignal }>();
  bed.script.stream = (_call, sink, { signal }) => {
    beginStream(sink);
    write(sink, first);
    opened.resolve({ sink, signal });
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
  };
  const response = await bed.post("/v1/messages", ask({ stream: true }), detach);
  return { response, id: response.headers.get("x-sluice-request-id") ?? "", ...(await opened.promise) };
}

function write(sink: StreamSink, text: string): void {
  sink.write(Buffer.from(text));
}

function getEvents(bed: GatewayBed, id: string): Promise<Response> {
  return fetch(`${bed.url}/v1/jobs/${id}/events`, { headers: { "x-api-key": bedKeys.key } });
}

test("while Redis is away a stream is not recorded, says so, and is cancelled with its caller", async () => {
  await using redis = await startRedis();
  await using bed = await startGatewayBed({ redisUrl: redis.url });
  await redis.kill();
  await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
  const { response, id, signal } = await openStream(bed);
  expect([response.status, response.headers.get("x-sluice-detach")]).toEqual([200, "unavailable"]);
  const events = await getEvents(bed, id);
  expect([events.status, events.headers.get("retry-after")]).toEqual([529, "1"]);
  const { text } = await readStream(response, (text) => cutEvents(withoutComments(text)).length >= 2);
  expect(text).toBe(first);
  await expect.poll(() => signal.aborted).toBe(true);
});

test("while Redis is short of memory a stream is not recorded either", async () => {
  await using redis = await startRedis();
  await using bed = await startGatewayBed({ redisUrl: redis.url });
  const connection = connectRedis(redis.url, "command", { logger: createLogger({ name: "test", level: "silent" }) });
  await connection.ready();
  const used = /used_memory:(\d+)/.exec(await connection.client.info("memory"))?.[1];
  await connection.client.config("SET", "maxmemory", String(Math.round(Number(used) / 0.8)));
  await connection.close();
  const { response } = await openStream(bed);
  expect(response.headers.get("x-sluice-detach")).toBe("unavailable");
  await response.body?.cancel();
});

test("a stream without a caller outlives a restart of Redis, and nothing of it is missing or double", async () => {
  await using redis = await startRedis({ appendOnly: true });
  await using bed = await startGatewayBed({ redisUrl: redis.url });
  const { response, id, sink, signal } = await openStream(bed);
  await readStream(response, (text) => cutEvents(withoutComments(text)).length >= 2);
  await eventually(async () => {
    const { text } = await readStream(await getEvents(bed, id), (text) => cutEvents(withoutComments(text)).length >= 2);
    expect(withoutIds(withoutComments(text))).toBe(first);
  });
  await redis.kill();
  write(sink, textDelta("while it was away"));
  await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
  await redis.start();
  await expect.poll(() => bed.health()).toMatchObject({ redis: "ok" });
  const following = readStream(await getEvents(bed, id));
  write(sink, textDelta("afterwards") + streamEnd());
  endStream(sink);
  const { text, isComplete } = await following;
  expect(signal.aborted).toBe(false);
  expect(isComplete).toBe(true);
  expect(withoutIds(withoutComments(text))).toBe(
    first + textDelta("while it was away") + textDelta("afterwards") + streamEnd(),
  );
});

test("a reader outlives a restart of Redis", async () => {
  await using redis = await startRedis({ appendOnly: true });
  await using bed = await startGatewayBed({ redisUrl: redis.url });
  const { response, id, sink } = await openStream(bed);
  await readStream(response, (text) => cutEvents(withoutComments(text)).length >= 2);
  let text = "";
  const following = readStream(await getEvents(bed, id), (soFar) => {
    text = soFar;
    return false;
  });
  await expect.poll(() => cutEvents(text).length).toBe(2);
  await redis.kill();
  await expect.poll(() => bed.health()).toMatchObject({ redis: "degraded" });
  await redis.start();
  write(sink, streamEnd());
  endStream(sink);
  expect((await following).isComplete).toBe(true);
  expect(withoutIds(withoutComments(text))).toBe(first + streamEnd());
});

test("a recording that Redis has lost leaves its stream to the caller, and ends one that has none", async () => {
  await using redis = await startRedis();
  await using bed = await startGatewayBed({ redisUrl: redis.url });
  const attended = await openStream(bed);
  const left = await openStream(bed);
  await readStream(left.response, (text) => cutEvents(withoutComments(text)).length >= 2);
  await redis.kill();
  await redis.start();
  await expect.poll(() => bed.health()).toMatchObject({ redis: "ok" });
  for (const { sink } of [attended, left]) write(sink, textDelta("more"));
  await expect.poll(() => left.signal.aborted).toBe(true);
  expect((await getEvents(bed, left.id)).status).toBe(404);
  write(attended.sink, streamEnd());
  endStream(attended.sink);
  const { text, isComplete } = await readStream(attended.response);
  expect([withoutIds(text), isComplete]).toEqual([first + textDelta("more") + streamEnd(), true]);
});
