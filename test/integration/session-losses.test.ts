import { afterEach, expect, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { forkWorker, type WorkerProcess } from "./fixtures/fork-worker.ts";
import { createSessionKit, makeCall, never, okOutcome, startProxy } from "./fixtures/session-kit.ts";

const kit = createSessionKit();
afterEach(() => kit.close());

const keep = { signal: never, keepOrphan: true };
const answer = (outcome: Outcome): unknown => JSON.parse(outcome.body.toString());

async function twoWorkers(): Promise<{ workers: [WorkerProcess, WorkerProcess]; address: string }> {
  const workers = await Promise.all([forkWorker(), forkWorker()]);
  for (const worker of workers) kit.own(worker);
  return { workers, address: workers.map((worker) => worker.address).join(",") };
}

async function poolOf(address: string, size: number) {
  const pool = kit.pool(address);
  await eventually(() => expect(pool.size).toBe(size));
  return pool;
}

/** The worker on which a call hangs, and the other. */
async function holderOf(id: string, workers: readonly WorkerProcess[]): Promise<[WorkerProcess, WorkerProcess]> {
  return eventually(() => {
    const holder = workers.find(({ hanging }) => hanging.includes(id));
    const other = workers.find((worker) => worker !== holder);
    if (!holder || !other) throw new Error("hangs nowhere yet");
    return [holder, other];
  });
}

test("a call whose worker is killed before it asked a provider goes to another worker at once", async () => {
  const lose = async (): Promise<number> => {
    const { workers, address } = await twoWorkers();
    const pool = await poolOf(address, 2);
    const call = makeCall({ model: "hang" });
    const outcome = pool.invoke(call, keep);
    const [holder, other] = await holderOf(call.head.id, workers);
    const killedAt = performance.now();
    holder.signal("SIGKILL");
    expect(answer(await outcome)).toEqual({ pid: other.pid, delivery: 2 });
    return performance.now() - killedAt;
  };
  expect(await bestOf(3, lose, 1500)).toBeLessThan(1500);
});

test("a call whose worker is killed after it asked a provider is opened once more, with what was sent", async () => {
  const { workers, address } = await twoWorkers();
  const pool = await poolOf(address, 2);
  const call = makeCall({ model: "sent" });
  const outcome = pool.invoke(call, keep);
  const [holder, other] = await holderOf(call.head.id, workers);
  holder.signal("SIGKILL");
  const sentBefore = { provider: "p", model: "m", at: 1 };
  expect(answer(await outcome)).toEqual({ pid: other.pid, delivery: 2, sentBefore });
});

test("a call that was sent and lost twice ends as overloaded, and says that it should not be tried again", async () => {
  const { workers, address } = await twoWorkers();
  const pool = await poolOf(address, 2);
  const call = makeCall({ model: "sent-always" });
  const outcome = pool.invoke(call, keep);
  const [holder, other] = await holderOf(call.head.id, workers);
  holder.signal("SIGKILL");
  await eventually(() => expect(other.hanging).toContain(call.head.id));
  other.signal("SIGKILL");
  await expect(outcome).rejects.toMatchObject({ code: "overloaded", shouldRetry: false });
});

test("a call that had been sent before it came here is not opened a second time", async () => {
  const { workers, address } = await twoWorkers();
  const pool = await poolOf(address, 2);
  const call = { ...makeCall({ model: "sent-always" }), sentBefore: { provider: "p", model: "m", at: 1 }, delivery: 2 };
  const outcome = pool.invoke(call, keep);
  const [holder] = await holderOf(call.head.id, workers);
  holder.signal("SIGKILL");
  await expect(outcome).rejects.toMatchObject({ code: "overloaded", shouldRetry: false });
});

test("the receiver of a stream hears of a killed worker within milliseconds, and what is known of its call", async () => {
  expect(await bestOf(3, loseStreams, 200)).toBeLessThan(200);
});

/** How long it takes to hear of it. */
async function loseStreams(): Promise<number> {
  const worker = kit.own(await forkWorker());
  const pool = await poolOf(worker.address, 1);
  const lost = (model: string, ready: () => void) =>
    new Promise((resolve) => {
      const receiver = {
        head: () => undefined,
        data: ready,
        end: () => undefined,
        outcome: () => undefined,
        lost: (info: object) => resolve({ ...info, at: performance.now() }),
      };
      pool.stream(makeCall({ stream: true, model }), receiver, { signal: never });
    });
  let begun = false;
  const all = Promise.all([
    lost("begin", () => (begun = true)),
    lost("sent", () => undefined),
    lost("hang", () => undefined),
  ]);
  await eventually(() => expect([begun, worker.hanging.length]).toEqual([true, 2]));
  const killedAt = performance.now();
  worker.signal("SIGKILL");
  const infos = (await all) as { at: number }[];
  expect(infos).toMatchObject([
    { begun: true, sent: undefined },
    { begun: false, sent: { provider: "p", model: "m", at: 1 } },
    { begun: false, sent: undefined },
  ]);
  return Math.max(...infos.map(({ at }) => at)) - killedAt;
}

test("a frozen worker is noticed by keep-alive", async () => {
  const worker = kit.own(await forkWorker());
  const pool = kit.pool(worker.address, { keepaliveMs: 500 });
  await pool.ready(never);
  const lost = new Promise((resolve) => {
    const quiet = { head: () => undefined, data: () => undefined, end: () => undefined, outcome: () => undefined };
    pool.stream(makeCall({ stream: true, model: "hang" }), { ...quiet, lost: resolve }, { signal: never });
  });
  await eventually(() => expect(worker.hanging).toHaveLength(1));
  worker.signal("SIGSTOP");
  // 0.5 s of silence, then 5 s for the probe's answer.
  expect(await lost).toMatchObject({ begun: false });
});

test("a worker that starts again at its address is not mistaken for the lost one", async () => {
  const first = kit.own(await forkWorker());
  const pool = await poolOf(first.address, 1);
  const call = makeCall({ model: "hang" });
  const outcome = pool.invoke(call, keep);
  await eventually(() => expect(first.hanging).toHaveLength(1));
  await first.close();
  await kit.worker({ invoke: async ({ delivery }) => okOutcome({ delivery }) }, { listen: first.address });
  expect(answer(await outcome)).toEqual({ delivery: 2 });
});

test("without any worker an invoke rejects and a stream ends as overloaded, after waiting two seconds for one", async () => {
  const pool = kit.pool("127.0.0.1:1");
  const startedAt = performance.now();
  const streamed = new Promise((resolve, reject) => {
    const receiver = { head: reject, data: reject, end: reject, lost: reject, outcome: resolve };
    pool.stream(makeCall({ stream: true }), receiver, { signal: never });
  });
  await expect(pool.invoke(makeCall(), keep)).rejects.toMatchObject({ code: "overloaded", retryAfterS: 1 });
  expect(await streamed).toMatchObject({ status: 529, code: "overloaded", headers: { "retry-after": "1" } });
  expect(performance.now() - startedAt).toBeGreaterThan(1900);
});

test("when the connection breaks and both ends live on, the running call is found again and runs once", async () => {
  let runs = 0;
  const release = Promise.withResolvers<void>();
  const worker = await kit.worker({
    async invoke(call, context) {
      runs++;
      context.sent({ provider: "p", model: "m", at: 1 });
      await release.promise;
      return okOutcome({ delivery: call.delivery });
    },
  });
  const other = await kit.worker({});
  const proxy = kit.own(await startProxy(worker.address));
  const pool = await poolOf(`${proxy.address},${other.address}`, 2);
  const outcomes = [makeCall(), makeCall(), makeCall(), makeCall()].map((call) => pool.invoke(call, keep));
  await eventually(() => expect(worker.calls).toBe(2));
  proxy.cut();
  await eventually(() => expect(pool.size).toBe(1));
  proxy.mend();
  await eventually(() => expect(pool.size).toBe(2));
  release.resolve();
  await Promise.all(outcomes);
  expect(runs).toBe(2);
});

test("an outcome that came while the session was away is held and handed to whoever attaches", async () => {
  const release = Promise.withResolvers<void>();
  const worker = await kit.worker({
    async invoke() {
      await release.promise;
      return okOutcome({ answered: true });
    },
  });
  const proxy = kit.own(await startProxy(worker.address));
  const call = makeCall();
  const first = kit.pool(proxy.address);
  await first.ready(never);
  const abandoned = first.invoke(call, keep);
  await eventually(() => expect(worker.calls).toBe(1));
  proxy.cut();
  const closing = first.close();
  await expect(abandoned).rejects.toMatchObject({ code: "cancelled" });
  await closing;
  release.resolve();
  await eventually(() => expect(worker.calls).toBe(0));
  const second = kit.pool(worker.address, { peer: { kind: "dispatcher", id: "other" } });
  const held = await second.attach(call.head.id, { delivery: 2, signal: never });
  expect(held && answer(held)).toEqual({ answered: true });
  expect(await second.attach(call.head.id, { delivery: 3, signal: never })).toBeUndefined();
});

test("without keepOrphan, and for streams, a broken session cancels the call at the worker", async () => {
  const aborted: boolean[] = [];
  const untilAbort = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        aborted.push(true);
        reject(new Error("stopped"));
      });
    });
  const worker = await kit.worker({
    invoke: (_call, { signal }) => untilAbort(signal),
    stream: (_call, _sink, { signal }) => untilAbort(signal),
  });
  const pool = await poolOf(worker.address, 1);
  const outcome = pool.invoke(makeCall(), { signal: never, keepOrphan: false });
  const quiet = { head() {}, data() {}, end() {}, outcome() {}, lost() {} };
  pool.stream(makeCall({ stream: true }), quiet, { signal: never });
  await eventually(() => expect(worker.calls).toBe(2));
  const closing = pool.close();
  await expect(outcome).rejects.toMatchObject({ code: "cancelled" });
  await closing;
  await eventually(() => expect(aborted).toEqual([true, true]));
});

test("an orphan that nobody asks for is cancelled when its time is up", async () => {
  const aborted = Promise.withResolvers<void>();
  const worker = await kit.worker(
    {
      invoke: (_call, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.resolve();
            reject(new Error("stopped"));
          });
        }),
    },
    { orphanMs: 100 },
  );
  const pool = await poolOf(worker.address, 1);
  const outcome = pool.invoke(makeCall(), keep);
  await eventually(() => expect(worker.calls).toBe(1));
  const closing = pool.close();
  await expect(outcome).rejects.toMatchObject({ code: "cancelled" });
  await closing;
  await aborted.promise;
  await eventually(() => expect(worker.calls).toBe(0));
});
