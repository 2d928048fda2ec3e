import { expect, inject, test } from "vitest";
import { createTargetBoard, type TargetBoard } from "#shared/store/target-board.ts";
import type { TargetCause } from "#shared/store/target-cause.ts";
import { bestOf } from "../support/best-of.ts";
import { startRedis } from "../support/redis-process.ts";
import { eventually } from "../support/eventually.ts";
import { createStoreBed, type StoreBed } from "../support/store-bed.ts";

const limited: TargetCause = { reason: "rate_limited", status: 429, error: "rate_limit_error" };
const exhausted: TargetCause = { reason: "account_exhausted", status: 400, error: "invalid_request_error" };
const refused: TargetCause = { reason: "credential_refused", status: 401 };
const down: TargetCause = { reason: "connect_failed", error: "ECONNREFUSED" };
const target = { provider: "anthropic", model: "claude-opus-4-8" };

async function openBoard(bed: StoreBed): Promise<TargetBoard> {
  const redis = await bed.connect("command");
  const subscriber = await bed.connect("subscriber");
  const board = bed.own(createTargetBoard({ redis, subscriber, prefix: bed.prefix, logger: bed.logger }));
  await eventually(() => expect(board.shared).toBe(true));
  return board;
}

const stateOf = (board: TargetBoard) => board.state(target.provider, target.model);

test("what one worker learns of a target every worker knows, also one that comes later", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const [one, other] = [await openBoard(bed), await openBoard(bed)];
  const until = Date.now() + 30_000;
  one.block(target, until, limited);
  one.out("second", until, exhausted);
  one.out({ provider: "third", model: "m" }, until, refused);
  one.openBreaker({ provider: "fourth", model: "m" }, until, down);
  expect(stateOf(one).blockedUntil).toBe(until);
  const knows = (board: TargetBoard) => {
    expect(stateOf(board)).toMatchObject({ blockedUntil: until, blockedCause: limited });
    expect(board.state("second", "any")).toMatchObject({ outUntil: until, outCause: exhausted });
    expect(board.state("third", "m")).toMatchObject({ outUntil: until, outCause: refused });
    expect(board.state("third", "other").outUntil).toBe(0);
    expect(board.state("fourth", "m")).toMatchObject({ breakerUntil: until, breakerOpenings: 1, breakerCause: down });
  };
  await eventually(() => knows(other));
  knows(await openBoard(bed));
});

test("what a worker of an older version notes is known, with the reason that its kind has", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const until = Date.now() + 30_000;
  const redis = await bed.connect("command");
  await redis.client.hset(`{${bed.prefix}}:targets`, {
    "block\none\nm": String(until),
    "out\ntwo\n": `${until}\nexhausted`,
    "breaker\nthree\nm": `${until}\n2`,
  });
  const board = await openBoard(bed);
  expect(board.state("one", "m")).toMatchObject({ blockedUntil: until, blockedCause: { reason: "rate_limited" } });
  expect(board.state("two", "any")).toMatchObject({ outUntil: until, outCause: { reason: "account_exhausted" } });
  const broken = board.state("three", "m");
  expect(broken).toMatchObject({ breakerUntil: until, breakerOpenings: 2, breakerCause: undefined });
});

test("a block only extends, whoever notes it", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const [one, other] = [await openBoard(bed), await openBoard(bed)];
  const now = Date.now();
  one.block(target, now + 60_000, limited);
  await eventually(() => expect(stateOf(other).blockedUntil).toBe(now + 60_000));
  other.block(target, now + 10_000, limited);
  other.block({ ...target, model: "sign" }, now + 10_000, limited);
  await eventually(() => expect(one.state("anthropic", "sign").blockedUntil).toBe(now + 10_000));
  expect(stateOf(one).blockedUntil).toBe(now + 60_000);
  expect(stateOf(await openBoard(bed)).blockedUntil).toBe(now + 60_000);
});

test.concurrent("openings in a row are counted once each over all workers, and a success forgets them", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const [one, other] = [await openBoard(bed), await openBoard(bed)];
  const until = Date.now() + 3_000;
  one.openBreaker(target, until, down);
  other.openBreaker(target, until, down);
  await eventually(() => expect(stateOf(other).breakerUntil).toBe(until));
  expect([stateOf(one).breakerOpenings, stateOf(other).breakerOpenings]).toEqual([1, 1]);
  await eventually(() => expect(Date.now()).toBeGreaterThan(until));
  other.openBreaker(target, Date.now() + 10_000, down);
  await eventually(() => expect(stateOf(one).breakerOpenings).toBe(2));
  one.closeBreaker(target);
  await eventually(() => expect(stateOf(other)).toMatchObject({ breakerUntil: 0, breakerOpenings: 0 }));
  expect(stateOf(await openBoard(bed)).breakerOpenings).toBe(0);
});

test.concurrent("one probe at a time over all workers, the next when it is ended or over", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const [one, other] = [await openBoard(bed), await openBoard(bed)];
  const taken = await Promise.all([one, other, one].map((board) => board.takeProbe(target, 60_000)));
  expect(taken.filter(Boolean)).toHaveLength(1);
  const [winner, loser] = taken[0] ? [one, other] : [other, one];
  expect(stateOf(loser).probing).toBe(true);
  loser.endProbe({ provider: "another", model: "m" });
  expect(await loser.takeProbe(target, 60_000)).toBe(false);
  winner.endProbe(target);
  await eventually(async () => expect(await loser.takeProbe(target, 3_000)).toBe(true));
  expect(await winner.takeProbe(target, 60_000)).toBe(false);
  await eventually(async () => expect(await winner.takeProbe(target, 60_000)).toBe(true));
});

test.concurrent("without Redis a worker goes by its own knowledge, and shares it afterwards", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const [one, other] = [await openBoard(bed), await openBoard(bed)];
  const until = Date.now() + 60_000;
  await redis.kill();
  await eventually(() => expect([one.shared, other.shared]).toEqual([false, false]));
  one.block(target, until, limited);
  expect(stateOf(one).blockedUntil).toBe(until);
  expect(stateOf(other).blockedUntil).toBe(0);
  expect([await one.takeProbe(target, 60_000), await one.takeProbe(target, 60_000)]).toEqual([true, false]);
  expect(await other.takeProbe(target, 60_000)).toBe(true);
  await redis.start();
  await eventually(() => expect([one.shared, other.shared]).toEqual([true, true]));
  await eventually(() => expect(stateOf(other).blockedUntil).toBe(until));
});

test.concurrent("a probe is not held up by a Redis that stands still", async () => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const board = await openBoard(bed);
  redis.freeze();
  const take = async (round: number): Promise<number> => {
    const startedAt = performance.now();
    expect(await board.takeProbe({ ...target, model: `m${round}` }, 1000)).toBe(true);
    return performance.now() - startedAt;
  };
  expect(await bestOf(3, take, 300)).toBeLessThan(300);
  redis.thaw();
});

test("what is kept of targets has a time to live", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const board = await openBoard(bed);
  const redis = await bed.connect("command");
  board.block(target, Date.now() + 60_000, limited);
  await board.takeProbe(target, 60_000);
  await eventually(async () => {
    const keys = await redis.client.keys(`{${bed.prefix}}:*`);
    expect(keys).toHaveLength(2);
    for (const key of keys) expect(await redis.client.pttl(key)).toBeGreaterThan(0);
  });
});
