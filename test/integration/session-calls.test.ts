import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { GatewayError } from "#shared/messages/error.ts";
import type { StreamTrailer } from "#shared/messages/outcome.ts";
import type { StreamSink } from "#shared/rpc/worker-server.ts";
import { eventually } from "../support/eventually.ts";
import { answerHead, completeTrailer, createSessionKit, makeCall, never, okOutcome } from "./fixtures/session-kit.ts";

const kit = createSessionKit();
afterEach(() => kit.close());

const listens = { TCP: "127.0.0.1:0", "a unix socket": `unix:${join(tmpdir(), `sluice-${process.pid}.sock`)}` };

describe.each(Object.entries(listens))("over %s", (_name, listen) => {
  test("200 interleaved calls each get their own answer", async () => {
    const worker = await kit.worker(
      {
        async invoke(call) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
          return okOutcome({ id: call.head.id, bytes: "bytes" in call.body ? call.body.bytes.length : 0 });
        },
      },
      { listen },
    );
    const pool = kit.pool(worker.address);
    const calls = Array.from({ length: 200 }, (_, i) => makeCall({ body: Buffer.alloc(i * 400) }));
    const outcomes = await Promise.all(calls.map((call) => pool.invoke(call, { signal: never, keepOrphan: true })));
    expect(outcomes.map(({ body }) => JSON.parse(body.toString()))).toEqual(
      calls.map((call, i) => ({ id: call.head.id, bytes: i * 400 })),
    );
  });

  test("one call carries 14 MB while the reader of another stands still, whose sender stops within its credit", async () => {
    const accepted = { still: 0, moving: 0 };
    const worker = await kit.worker(
      {
        stream: (call, sink, { signal }) =>
          pump(sink, signal, (bytes) => {
            accepted[call.head.model === "still" ? "still" : "moving"] += bytes;
            return call.head.model !== "still" && accepted.moving >= 14 * 1024 * 1024;
          }),
      },
      { listen },
    );
    const pool = kit.pool(worker.address);
    await pool.ready(never);
    let still = 0;
    const nothing = { head() {}, end() {}, outcome() {}, lost() {} };
    const stalled = pool.stream(
      makeCall({ stream: true, model: "still" }),
      { ...nothing, data: (chunk) => void (still += chunk.length) },
      { signal: never },
    );
    let moved = 0;
    const trailer = await new Promise<StreamTrailer>((resolve, reject) => {
      const handle = pool.stream(
        makeCall({ stream: true, model: "moving" }),
        {
          head: () => undefined,
          data(chunk) {
            moved += chunk.length;
            handle.consumed(chunk.length);
          },
          end: resolve,
          outcome: reject,
          lost: reject,
        },
        { signal: never },
      );
    });
    expect(trailer).toEqual(completeTrailer);
    expect(moved).toBe(accepted.moving);
    await eventually(() => expect(still).toBe(256 * 1024));
    // What the sink was handed beyond that is the one chunk it took before it said no.
    expect(accepted.still - still).toBeLessThanOrEqual(chunk.length);
    stalled.consumed(still);
    await eventually(() => expect(still).toBe(512 * 1024));
    stalled.cancel();
    await eventually(() => expect(worker.calls).toBe(0));
  });
});

const chunk = Buffer.alloc(24 * 1024, "x");

/** Writes as fast as the sink takes it, until `stop` says so or the signal aborts. */
function pump(sink: StreamSink, signal: AbortSignal, stop: (bytes: number) => boolean): Promise<void> {
  sink.head(answerHead);
  return new Promise((resolve) => {
    const go = (): void => {
      for (;;) {
        const more = sink.write(chunk);
        if (stop(chunk.length)) break;
        if (!more) return;
      }
      sink.end(completeTrailer);
      resolve();
    };
    sink.source = { resume: go };
    signal.addEventListener("abort", () => resolve());
    go();
  });
}

test("a body of 20 MB arrives as it was sent, and a body by key as its key", async () => {
  const worker = await kit.worker({});
  const pool = kit.pool(worker.address);
  const body = Buffer.alloc(20 * 1024 * 1024);
  for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(i, i);
  const options = { signal: never, keepOrphan: true };
  const [large, byKey] = await Promise.all([
    pool.invoke(makeCall({ body }), options),
    pool.invoke(makeCall({ body: { key: "body:1" } }), options),
  ]);
  expect(large.body.equals(body)).toBe(true);
  expect(JSON.parse(byKey.body.toString())).toEqual({ key: "body:1" });
});

test("a stream gives head, data and end in order, and tells its receiver nothing else", async () => {
  const worker = await kit.worker({
    async stream(_call, sink) {
      sink.head(answerHead);
      sink.write(Buffer.from("one "));
      await new Promise((resolve) => setTimeout(resolve, 5));
      sink.write(Buffer.from("two"));
      sink.end(completeTrailer);
      sink.write(Buffer.from("late"));
    },
  });
  const pool = kit.pool(worker.address);
  const seen: unknown[] = [];
  pool.stream(
    makeCall({ stream: true }),
    {
      head: (head) => seen.push(head),
      data: (chunk) => seen.push(chunk.toString()),
      end: (trailer) => seen.push(trailer),
      outcome: (outcome) => seen.push(outcome),
      lost: (info) => seen.push(info),
    },
    { signal: never },
  );
  await eventually(() => expect(seen).toHaveLength(4));
  expect(seen).toEqual([answerHead, "one ", "two", completeTrailer]);
});

test("the abort of the caller's signal reaches the handler of an invoke and of a stream", async () => {
  const aborted: string[] = [];
  const untilAbort = (id: string, signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        aborted.push(id);
        reject(new Error("stopped"));
      });
    });
  const worker = await kit.worker({
    invoke: (call, { signal }) => untilAbort(call.head.id, signal),
    stream: (call, _sink, { signal }) => untilAbort(call.head.id, signal),
  });
  const pool = kit.pool(worker.address);
  const caller = new AbortController();
  const invoked = makeCall();
  const streamed = makeCall({ stream: true });
  const outcome = pool.invoke(invoked, { signal: caller.signal, keepOrphan: true });
  const told: string[] = [];
  const receiver = {
    head: () => told.push("head"),
    data: () => told.push("data"),
    end: () => told.push("end"),
    outcome: () => told.push("outcome"),
    lost: () => told.push("lost"),
  };
  pool.stream(streamed, receiver, { signal: caller.signal });
  await eventually(() => expect(worker.calls).toBe(2));
  caller.abort();
  await expect(outcome).rejects.toMatchObject({ code: "cancelled" });
  await eventually(() => expect(aborted.toSorted()).toEqual([invoked.head.id, streamed.head.id].toSorted()));
  await eventually(() => expect(worker.calls).toBe(0));
  expect(told).toEqual([]);
});

test("what a handler throws becomes an outcome: by its code, or as an internal error that gives nothing away", async () => {
  const worker = await kit.worker({
    invoke: () => Promise.reject(new Error("secret")),
    async stream() {
      throw new GatewayError("timed_out", "Time is up.");
    },
  });
  const pool = kit.pool(worker.address);
  const call = makeCall();
  const outcome = await pool.invoke(call, { signal: never, keepOrphan: true });
  expect(outcome).toMatchObject({ status: 500, code: "internal" });
  expect(JSON.parse(outcome.body.toString())).toEqual({
    type: "error",
    error: { type: "api_error", message: "Internal gateway error." },
    request_id: call.head.id,
  });
  const streamed = await new Promise((resolve, reject) => {
    const receiver = { head: reject, data: reject, end: reject, outcome: resolve, lost: reject };
    pool.stream(makeCall({ stream: true }), receiver, { signal: never });
  });
  expect(streamed).toMatchObject({ status: 504, code: "timed_out" });
});

test("a stream whose handler gives up after the head ends as cut", async () => {
  const worker = await kit.worker({
    async stream(_call, sink) {
      sink.head(answerHead);
    },
  });
  const pool = kit.pool(worker.address);
  const trailer = await new Promise((resolve, reject) => {
    const receiver = { head: () => undefined, data: reject, end: resolve, outcome: reject, lost: reject };
    pool.stream(makeCall({ stream: true }), receiver, { signal: never });
  });
  expect(trailer).toMatchObject({ end: "cut", code: "internal" });
});
