import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, inject, test } from "vitest";

import { createCallRegistry, type CallRegistry, type JoinableCall } from "#shared/store/call-registry.ts";
import { createClaimStore, type ClaimedWork, type Claiming, type ClaimStore } from "#shared/store/claim-store.ts";
import { createJobStore } from "#shared/store/job-store.ts";
import { createReplyBus, type ReplyBus } from "#shared/store/reply-bus.ts";
import { createResultStore, type ResultStore } from "#shared/store/result-store.ts";
import { createTapeStore, type TapePiece } from "#shared/store/tape-store.ts";
import { eventually } from "../support/eventually.ts";
import { callId, createStoreBed, sampleOutcome, type StoreBed } from "../support/store-bed.ts";

async function openCalls(bed: StoreBed): Promise<CallRegistry> {
  return createCallRegistry({ redis: await bed.connect("command"), prefix: bed.prefix });
}

async function openResults(bed: StoreBed): Promise<ResultStore> {
  const redis = await bed.connect("command");
  return bed.own(createResultStore({ redis, prefix: bed.prefix, ttlMs: 60_000 }));
}

async function openReplies(bed: StoreBed, instanceId: string): Promise<ReplyBus> {
  const subscriber = await bed.connect("subscriber");
  const bus = bed.own(createReplyBus({ subscriber, prefix: bed.prefix, instanceId, logger: bed.logger }));
  await bus.ready(AbortSignal.timeout(20_000));
  return bus;
}

const callOf = (more: Partial<JoinableCall> = {}): JoinableCall => ({
  id: callId(),
  lane: "interactive",
  deadlineAt: Date.now() + 60_000,
  channel: "first-gateway",
  ...more,
});
const waiter = (channel = "second-gateway", deadlineAt = Date.now() + 60_000) => ({
  channel,
  id: callId(),
  deadlineAt,
});
const firstOf = ({ channel, id }: JoinableCall) => ({ channel, id });

describe("a call that others may join", () => {
  test("is found by what it asks, the latest one of several", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const calls = await openCalls(bed);
    const [early, late, other] = [callOf(), callOf(), callOf()];
    calls.register("ask", early);
    calls.register("other", other);
    calls.register("ask", late);
    await eventually(async () => expect(await calls.find("ask")).toEqual(late));
    expect(await calls.find("other")).toEqual(other);
    expect(await calls.find("nothing")).toBeUndefined();
  });

  test("answers everybody who waits for it, at every gateway, once", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const [calls, results] = [await openCalls(bed), await openResults(bed)];
    const buses = await Promise.all(["g1", "g2", "g3"].map((name) => openReplies(bed, name)));
    const call = callOf({ channel: buses[0]?.channel ?? "" });
    const heard: string[] = [];
    for (const [index, bus] of buses.entries())
      for (const listener of ["a", "b"])
        bus.expect(call.id, (outcome) => heard.push(`${index + 1}${listener} ${outcome.body.toString()}`));
    expect(await calls.join(call, waiter(buses[1]?.channel))).toEqual({ state: "waiting" });
    expect(await calls.join(call, waiter(buses[1]?.channel))).toEqual({ state: "waiting" });
    await results.settle(call.id, sampleOutcome("yes"), buses[0]?.channel ?? "");
    await eventually(() => expect(heard.toSorted()).toEqual(["1a yes", "1b yes", "2a yes", "2b yes"]));
    await sleep(50);
    expect(heard).toHaveLength(4);
  });

  test("that is answered gives its outcome, one that is cancelled nothing", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const [calls, results] = [await openCalls(bed), await openResults(bed)];
    const [answered, cancelled] = [callOf(), callOf()];
    await results.settle(answered.id, sampleOutcome("there"), "");
    expect(await calls.join(answered, waiter())).toEqual({ state: "answered", outcome: sampleOutcome("there") });
    expect(await calls.abandon(cancelled.id, firstOf(cancelled), 0)).toBe("cancelled");
    expect(await calls.join(cancelled, waiter())).toEqual({ state: "cancelled" });
  });

  test("is cancelled by the last of its callers only, in whatever order they leave", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const calls = await openCalls(bed);
    for (const firstLeaves of [0, 1, 2]) {
      const call = callOf();
      const joined = [waiter(), waiter("third-gateway")];
      for (const one of joined) await calls.join(call, one);
      const leaving = [firstOf(call), ...joined];
      leaving.unshift(...leaving.splice(firstLeaves, 1));
      const results = [];
      for (const one of leaving) results.push(await calls.abandon(call.id, one, 0));
      expect(results).toEqual(["joined", "joined", "cancelled"]);
    }
  });

  test("that its first caller has left can be joined, and is then not cancelled", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const calls = await openCalls(bed);
    const call = callOf();
    await calls.leave(call.id, firstOf(call), Date.now() + 60_000);
    const late = waiter();
    expect(await calls.join(call, late)).toEqual({ state: "waiting" });
    expect(await calls.abandon(call.id, firstOf(call), 0)).toBe("joined");
    expect(await calls.abandon(call.id, late, 0)).toBe("cancelled");
  });

  test("is never joined and cancelled both, however the two meet", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const [here, there] = [await openCalls(bed), await openCalls(bed)];
    const met = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const call = callOf();
      const ways = [
        async () => (await here.join(call, waiter())).state,
        async () => there.abandon(call.id, firstOf(call), 0),
      ] as const;
      const [joined, left] =
        round % 2 === 0
          ? await Promise.all([ways[0](), ways[1]()])
          : await Promise.all([ways[1](), ways[0]()]).then(([abandoned, state]) => [state, abandoned] as const);
      met.add(`${joined} ${left}`);
    }
    expect([...met].toSorted()).toEqual(["cancelled cancelled", "waiting joined"]);
  });

  test("is not held by a caller whose lease is over", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const calls = await openCalls(bed);
    const call = callOf({ deadlineAt: Date.now() - 3_600_000 });
    const lost = waiter("lost-gateway", Date.now() - 3_600_000);
    await calls.join(call, lost);
    const here = waiter();
    await calls.join(call, here);
    expect(await calls.abandon(call.id, here, 0)).toBe("cancelled");
  });

  test("has the latest deadline of those who joined or left", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const calls = await openCalls(bed);
    const call = callOf();
    expect(await calls.laterDeadline(call.id)).toBeUndefined();
    const [sooner, later] = [Date.now() + 60_000, Date.now() + 90_000];
    await calls.join(call, waiter("g", later));
    await calls.join(call, waiter("g", sooner));
    await calls.leave(call.id, firstOf(call), sooner);
    expect(await calls.laterDeadline(call.id)).toBe(later);
  });

  test("tells whether its gateway listens", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const calls = await openCalls(bed);
    const bus = await openReplies(bed, "alive");
    expect(await calls.isListening(bus.channel)).toBe(true);
    expect(await calls.isListening(`${bus.channel}-gone`)).toBe(false);
  });
});

describe("an idempotency key", () => {
  const workOf = (print = "p1", more: Partial<ClaimedWork> = {}): ClaimedWork => ({
    kind: "whole",
    print,
    call: callOf(),
    ...more,
  });
  const holder = { keyId: "key:a", idempotencyKey: "order 17: é" };
  const open = async (bed: StoreBed): Promise<ClaimStore> =>
    createClaimStore({ redis: await bed.connect("command"), prefix: bed.prefix });
  function theirs(claiming: Claiming): Extract<Claiming, { state: "theirs" }> {
    if (claiming.state !== "theirs") throw new Error("the claim is ours");
    return claiming;
  }

  test("is the first one's, of a hundred at once", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const claims = await open(bed);
    const all = await Promise.all(Array.from({ length: 100 }, () => claims.claim(holder, workOf())));
    expect(all.filter(({ state }) => state === "ours")).toHaveLength(1);
    const works = all.filter(({ state }) => state === "theirs").map((claiming) => theirs(claiming).work.call.id);
    expect(new Set(works).size).toBe(1);
  });

  test("tells the work it was used for, to its own key and for the same request only", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const claims = await open(bed);
    const work = workOf("p1", { kind: "batch" });
    expect((await claims.claim(holder, work)).state).toBe("ours");
    expect(theirs(await claims.claim(holder, workOf("p1"))).work).toEqual(work);
    await expect(claims.claim(holder, workOf("p2"))).rejects.toMatchObject({ code: "unprocessable", status: 422 });
    expect((await claims.claim({ ...holder, keyId: "key:b" }, workOf("p2"))).state).toBe("ours");
  });

  test("that came to nothing is taken over by one, or given back", async () => {
    await using bed = createStoreBed(inject("redisUrl"));
    const claims = await open(bed);
    await claims.claim(holder, workOf());
    const two = await Promise.all([claims.claim(holder, workOf()), claims.claim(holder, workOf())]);
    const retaken = await Promise.all(two.map((claiming) => theirs(claiming).retake()));
    expect(retaken.map(({ state }) => state).toSorted()).toEqual(["ours", "theirs"]);
    const ours = retaken.find(({ state }) => state === "ours");
    if (ours?.state === "ours") await ours.claim.release();
    await eventually(async () => {
      const work = workOf();
      expect((await claims.claim(holder, work)).state).toBe("ours");
    });
  });
});

test("jobs are their key's own, newest first, and no more than are asked for", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const jobs = createJobStore({ redis: await bed.connect("command"), prefix: bed.prefix });
  const createdAt = Date.now();
  const all = Array.from({ length: 5 }, (_, index) => ({
    callId: callId(),
    keyId: index === 4 ? "key:b" : "key:a",
    operation: "messages" as const,
    model: "m",
    lane: "background",
    createdAt: createdAt + index,
    expiresAt: createdAt + 60_000,
  }));
  for (const job of all) await jobs.create(job, { keepMs: 60_000, mostOpen: 100 });
  const ids = all.map((job) => job.callId);
  expect(await jobs.get("key:a", ids[0] ?? "")).toEqual(all[0]);
  expect(await jobs.get("key:a", ids[4] ?? "")).toBeUndefined();
  const listed = await jobs.list("key:a", { limit: 2 });
  expect(listed).toEqual([all[3], all[2]]);
  expect(await jobs.list("key:a", { limit: 9, afterId: ids[2] })).toEqual([all[1], all[0]]);
  expect(await jobs.list("key:a", { limit: 9, afterId: ids[4] })).toEqual([]);
  expect(await jobs.hasRoom()).toBe(true);
});

test.each([undefined, "ab".repeat(32)])(
  "a tape gives back what was put on it, encrypted by %j",
  async (encryptionKey) => {
    await using bed = createStoreBed(inject("redisUrl"));
    const sealed = encryptionKey === undefined ? {} : { encryptionKey };
    const tapes = createTapeStore({ redis: await bed.connect("command"), prefix: bed.prefix, ...sealed });
    const id = callId();
    const pieces: TapePiece[] = [
      { kind: "head", status: 200, headers: { "content-type": "text/event-stream" } },
      { kind: "data", bytes: Buffer.from("data: é\n\n") },
      { kind: "end", isBroken: false },
    ];
    await tapes.append(id, pieces.slice(0, 1), 60_000);
    await tapes.append(id, pieces.slice(1), 60_000);
    expect(await tapes.read(id, 0)).toEqual(pieces);
    expect(await tapes.read(id, 2)).toEqual(pieces.slice(2));
    // Somebody has just read it.
    expect(await tapes.endUnread(id, 60_000)).toBe(false);
    const unread = callId();
    expect(await tapes.endUnread(unread, 60_000)).toBe(true);
    expect(await tapes.read(unread, 0)).toEqual([{ kind: "cut", why: "cancelled" }]);
  },
);
