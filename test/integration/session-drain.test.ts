import { afterEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { answerHead, completeTrailer, createSessionKit, makeCall, never, okOutcome } from "./fixtures/session-kit.ts";

const kit = createSessionKit();
afterEach(() => kit.close());

const keep = { signal: never, keepOrphan: true };

async function gatedWorker() {
  const release = Promise.withResolvers<void>();
  const seen: string[] = [];
  const worker = await kit.worker({
    async invoke(call) {
      seen.push(call.head.id);
      await release.promise;
      return okOutcome({ done: true });
    },
    async stream(call, sink) {
      seen.push(call.head.id);
      sink.head(answerHead);
      await release.promise;
      sink.write(Buffer.from("rest"));
      sink.end(completeTrailer);
    },
  });
  return { worker, seen, release: release.resolve };
}

test("a draining worker gets no more calls, finishes those it has, streams too, and then the drain is over", async () => {
  const leaving = await gatedWorker();
  const staying = await kit.worker({});
  const pool = kit.pool(`${leaving.worker.address},${staying.address}`);
  await eventually(() => expect(pool.size).toBe(2));
  const early = [makeCall(), makeCall(), makeCall(), makeCall()];
  const outcomes = early.map((call) => pool.invoke(call, keep));
  const streamed: string[] = [];
  const receiver = {
    head: () => streamed.push("head"),
    data: (chunk: Buffer) => streamed.push(chunk.toString()),
    end: () => streamed.push("end"),
    outcome: () => streamed.push("outcome"),
    lost: () => streamed.push("lost"),
  };
  const streams = [makeCall({ stream: true }), makeCall({ stream: true })];
  for (const call of streams) pool.stream(call, receiver, { signal: never });
  await eventually(() => expect(leaving.seen.length).toBeGreaterThan(1));
  const running = leaving.worker.calls;
  let drained = false;
  const drain = leaving.worker.drain(never).then(() => (drained = true));
  await eventually(() => expect(pool.size).toBe(1));
  await Promise.all(Array.from({ length: 20 }, () => pool.invoke(makeCall(), keep)));
  expect(leaving.worker.calls).toBe(running);
  expect(drained).toBe(false);
  leaving.release();
  await Promise.all([...outcomes, drain]);
  await leaving.worker.close();
  await eventually(() => expect(streamed.filter((event) => event === "end")).toHaveLength(2));
  expect(streamed).not.toContain("lost");
});

test("the only worker leaves: a call waits for another and is refused as overloaded when none comes", async () => {
  const { worker } = await gatedWorker();
  const pool = kit.pool(worker.address);
  await pool.ready(never);
  await worker.drain(never);
  await expect(pool.invoke(makeCall(), keep)).rejects.toMatchObject({ code: "overloaded" });
});

test("an orphan that runs holds the drain, its undelivered outcome only for seconds, and the signal ends it", async () => {
  const { worker, release } = await gatedWorker();
  const pool = kit.pool(worker.address);
  await pool.ready(never);
  const outcome = pool.invoke(makeCall(), keep).catch(() => undefined);
  await eventually(() => expect(worker.calls).toBe(1));
  await pool.close();
  await outcome;
  const impatient = new AbortController();
  const given = worker.drain(impatient.signal);
  impatient.abort();
  await given;
  expect(worker.calls).toBe(1);
  release();
  const startedAt = performance.now();
  await worker.drain(never);
  expect(worker.calls).toBe(0);
  // And not for the minute that somebody has to ask for it.
  expect(performance.now() - startedAt).toBeLessThan(30_000);
});

test("close cancels what still runs", async () => {
  const aborted = Promise.withResolvers<void>();
  const worker = await kit.worker({
    invoke: (_call, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(new Error("stopped"));
        });
      }),
  });
  const pool = kit.pool(worker.address);
  const caller = new AbortController();
  const outcome = pool.invoke(makeCall(), { ...keep, signal: caller.signal }).catch(() => undefined);
  await eventually(() => expect(worker.calls).toBe(1));
  await worker.close();
  await aborted.promise;
  caller.abort();
  await outcome;
});
