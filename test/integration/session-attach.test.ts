import { afterEach, expect, test } from "vitest";
import type { SentNote } from "#shared/messages/call.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { isSuperseded } from "#shared/rpc/superseded.ts";
import { eventually } from "../support/eventually.ts";
import { createSessionKit, makeCall, never, okOutcome, startProxy } from "./fixtures/session-kit.ts";

const kit = createSessionKit();
afterEach(() => kit.close());

const keep = { signal: never, keepOrphan: true };
const answer = (outcome: Outcome | undefined): unknown => outcome && JSON.parse(outcome.body.toString());

/** A worker whose calls wait for `release`, and the two pools of two processes. */
async function heldWorker() {
  const release = Promise.withResolvers<void>();
  const state = { runs: 0, aborted: 0 };
  const worker = await kit.worker({
    async invoke(call, context) {
      state.runs++;
      const note: SentNote = { provider: "p", model: "m", at: 1 };
      context.sent(note);
      context.signal.addEventListener("abort", () => {
        state.aborted++;
        release.resolve();
      });
      await release.promise;
      return okOutcome({ delivery: call.delivery });
    },
  });
  const pools = [kit.pool(worker.address), kit.pool(worker.address, { peer: { kind: "dispatcher", id: "two" } })];
  await Promise.all(pools.map((pool) => pool.ready(never)));
  const [first, second] = pools;
  if (!first || !second) throw new Error("two pools");
  return { worker, first, second, state, release: release.resolve };
}

test("the higher delivery takes a call over, and the older holder hears that it was superseded", async () => {
  const { worker, first, second, state, release } = await heldWorker();
  const call = makeCall();
  const older = first.invoke(call, keep).catch((error: unknown) => error);
  await eventually(() => expect(worker.calls).toBe(1));
  const newer = second.attach(call.head.id, { delivery: 2, signal: never });
  const error = await older;
  expect(error).toMatchObject({ code: "cancelled" });
  expect(isSuperseded(error)).toBe(true);
  release();
  expect(answer(await newer)).toEqual({ delivery: 1 });
  expect(state).toEqual({ runs: 1, aborted: 0 });
});

test("an older delivery that attaches is told so, and the holder keeps the call", async () => {
  const { worker, first, second, release } = await heldWorker();
  const call = makeCall({ delivery: 3 });
  const holder = first.invoke(call, keep);
  await eventually(() => expect(worker.calls).toBe(1));
  const older = await second.attach(call.head.id, { delivery: 2, signal: never }).catch((error: unknown) => error);
  expect(isSuperseded(older)).toBe(true);
  release();
  expect(answer(await holder)).toEqual({ delivery: 3 });
});

test("a reopened call is looked for on every worker before it is opened, and opened when nobody holds it", async () => {
  const { worker, first, second, state, release } = await heldWorker();
  const other = await kit.worker({});
  const both = kit.pool(`${other.address},${worker.address}`);
  await eventually(() => expect(both.size).toBe(2));
  const call = makeCall();
  const older = first.invoke(call, keep).catch((error: unknown) => error);
  await eventually(() => expect(worker.calls).toBe(1));
  const found = both.invoke({ ...call, delivery: 2 }, { ...keep, reopened: true });
  expect(isSuperseded(await older)).toBe(true);
  release();
  expect(answer(await found)).toEqual({ delivery: 1 });
  expect(state.runs).toBe(1);
  const unknown = makeCall({ delivery: 2 });
  expect(answer(await second.invoke(unknown, { ...keep, reopened: true }))).toEqual({ delivery: 2 });
  expect(state.runs).toBe(2);
});

test("a second open of a call that runs joins it in place of running it twice", async () => {
  const { worker, first, second, state, release } = await heldWorker();
  const call = makeCall();
  const older = first.invoke(call, keep).catch((error: unknown) => error);
  await eventually(() => expect(worker.calls).toBe(1));
  const newer = second.invoke({ ...call, delivery: 2 }, keep);
  expect(isSuperseded(await older)).toBe(true);
  release();
  expect(answer(await newer)).toEqual({ delivery: 1 });
  expect(state.runs).toBe(1);
});

test("nobody holds an unknown call", async () => {
  const { first } = await heldWorker();
  expect(await first.attach("call_unknown", { delivery: 2, signal: never })).toBeUndefined();
});

test("the abort of an attach cancels the call it found", async () => {
  const { worker, first, second, state } = await heldWorker();
  const call = makeCall();
  const older = first.invoke(call, keep).catch((error: unknown) => error);
  await eventually(() => expect(worker.calls).toBe(1));
  const caller = new AbortController();
  const newer = second.attach(call.head.id, { delivery: 2, signal: caller.signal });
  await older;
  caller.abort();
  await expect(newer).rejects.toMatchObject({ code: "cancelled" });
  await eventually(() => expect(state.aborted).toBe(1));
});

test("a session that breaks and returns while the caller waits costs nothing, once and again", async () => {
  const { worker, state, release } = await heldWorker();
  const proxy = kit.own(await startProxy(worker.address));
  const pool = kit.pool(proxy.address);
  await pool.ready(never);
  const outcome = pool.invoke(makeCall(), keep);
  await eventually(() => expect(worker.calls).toBe(1));
  for (let i = 0; i < 2; i++) {
    proxy.cut();
    await eventually(() => expect(pool.size).toBe(0));
    proxy.mend();
    await eventually(() => expect(pool.size).toBe(1));
  }
  release();
  expect(answer(await outcome)).toEqual({ delivery: 1 });
  expect(state).toEqual({ runs: 1, aborted: 0 });
});

test("an outcome that was on its way when the session broke is sent again", async () => {
  const body = Buffer.alloc(8 * 1024 * 1024, "b");
  let runs = 0;
  const worker = await kit.worker({
    async invoke() {
      runs++;
      return okOutcome(body);
    },
  });
  const proxy = kit.own(await startProxy(worker.address));
  const pool = kit.pool(proxy.address);
  await pool.ready(never);
  const outcome = pool.invoke(makeCall(), keep);
  await eventually(() => expect(runs).toBe(1), { everyMs: 1 });
  proxy.cut();
  proxy.mend();
  expect((await outcome).body.equals(body)).toBe(true);
  expect(runs).toBe(1);
});
