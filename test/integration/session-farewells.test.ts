import { afterEach, describe, expect, test } from "vitest";

import type { Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import type { CallContext, StreamSink } from "#shared/rpc/call-handler.ts";
import type { StreamHandle } from "#shared/rpc/stream-call.ts";
import { eventually } from "../support/eventually.ts";
import {
  answerHead,
  completeTrailer,
  createSessionKit,
  makeCall,
  never,
  okOutcome,
  startProxy,
} from "./fixtures/session-kit.ts";

/** What is sent of a stream whose bytes are not given back. */
const creditBytes = 256 * 1024;

const kit = createSessionKit();
afterEach(() => kit.close());

const usage = { input_tokens: 12, output_tokens: 3, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
const cutTrailer: StreamTrailer = { ...completeTrailer, end: "cut", code: "cancelled", usage };

type Play = (sink: StreamSink, context: CallContext) => Promise<void>;

interface Played {
  readonly handle: StreamHandle;
  readonly received: { head: boolean; bytes: number; ends: number };
  readonly worker: { readonly calls: number };
  readonly cut: () => void;
}

/** A stream that a worker plays, whose bytes are never given back. */
async function play(script: Play): Promise<Played> {
  const worker = await kit.worker({ stream: (_call, sink, context) => script(sink, context) });
  const proxy = kit.own(await startProxy(worker.address));
  const pool = kit.pool(proxy.address);
  await pool.ready(never);
  const received = { head: false, bytes: 0, ends: 0 };
  const handle = pool.stream(
    makeCall({ stream: true }),
    {
      head: () => void (received.head = true),
      data: (chunk) => void (received.bytes += chunk.length),
      end: () => void (received.ends += 1),
      outcome: () => void (received.ends += 1),
      lost: () => void (received.ends += 1),
    },
    { signal: never },
  );
  return { handle, received, worker, cut: proxy.cut };
}

function farewellOf(handle: StreamHandle): Promise<StreamTrailer | undefined> {
  return new Promise((resolve) => handle.cancel(resolve));
}

function untilAbort({ signal }: CallContext): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

describe("a stream that is cancelled after it has begun", () => {
  test("has a farewell with what the worker knows, and nothing else of it is received", async () => {
    const { handle, received, worker } = await play(async (sink, context) => {
      sink.head(answerHead);
      await untilAbort(context);
      sink.write(Buffer.from("too late"));
      sink.end(cutTrailer);
    });
    await eventually(() => expect(received.head).toBe(true));
    expect(await farewellOf(handle)).toEqual(cutTrailer);
    expect(received).toEqual({ head: true, bytes: 0, ends: 0 });
    await eventually(() => expect(worker.calls).toBe(0));
  });

  test("has it at once although its bytes wait for a reader", async () => {
    const { handle, received } = await play(async (sink, context) => {
      sink.head(answerHead);
      sink.write(Buffer.alloc(2_000_000));
      await untilAbort(context);
      sink.end(cutTrailer);
    });
    await eventually(() => expect(received.bytes).toBe(creditBytes));
    expect(await farewellOf(handle)).toEqual(cutTrailer);
    expect(received.bytes).toBe(creditBytes);
  });

  test("has its real end when it had ended and only its bytes were waiting", async () => {
    const { handle, received } = await play((sink) => {
      sink.head(answerHead);
      sink.write(Buffer.alloc(2_000_000));
      sink.end({ ...completeTrailer, usage });
      return Promise.resolve();
    });
    await eventually(() => expect(received.bytes).toBe(creditBytes));
    expect(await farewellOf(handle)).toEqual({ ...completeTrailer, usage });
  });

  test("is not waited for when the worker says nothing", async () => {
    const { handle, received } = await play((sink) => {
      sink.head(answerHead);
      return new Promise(() => undefined);
    });
    await eventually(() => expect(received.head).toBe(true));
    expect(await farewellOf(handle)).toBeUndefined();
  });

  test("has none when the session breaks meanwhile", async () => {
    const { handle, received, cut } = await play((sink) => {
      sink.head(answerHead);
      return new Promise(() => undefined);
    });
    await eventually(() => expect(received.head).toBe(true));
    const farewell = farewellOf(handle);
    cut();
    expect(await farewell).toBeUndefined();
    expect(received.ends).toBe(0);
  });
});

test("a stream that is cancelled before it has begun, or twice, has no farewell", async () => {
  const { handle, worker } = await play((_sink, context) => untilAbort(context));
  await eventually(() => expect(worker.calls).toBe(1));
  expect(await farewellOf(handle)).toBeUndefined();
  expect(await farewellOf(handle)).toBeUndefined();
  await eventually(() => expect(worker.calls).toBe(0));
});

describe("a whole answer that is cancelled while a worker has it", () => {
  interface Invoked {
    /** Aborts the call, and resolves with its farewells when it has rejected. */
    leave(): Promise<(Outcome | undefined)[]>;
    readonly worker: { readonly calls: number };
    readonly cut: () => void;
  }

  async function invoke(answer: (context: CallContext) => Promise<Outcome>): Promise<Invoked> {
    const worker = await kit.worker({ invoke: (_call, context) => answer(context) });
    const proxy = kit.own(await startProxy(worker.address));
    const pool = kit.pool(proxy.address);
    await pool.ready(never);
    const abort = new AbortController();
    const farewells: (Outcome | undefined)[] = [];
    const options = { signal: abort.signal, keepOrphan: true, farewell: (last?: Outcome) => void farewells.push(last) };
    const invoked = pool.invoke(makeCall(), options).catch((reason: unknown) => reason);
    await eventually(() => expect(worker.calls).toBe(1));
    const leave = async (): Promise<(Outcome | undefined)[]> => {
      abort.abort();
      expect(await invoked).toMatchObject({ code: "cancelled" });
      return farewells;
    };
    return { leave, worker, cut: proxy.cut };
  }

  test("has a farewell with what the worker knows, and without a body", async () => {
    const outcome = { ...okOutcome(Buffer.alloc(2_000_000)), usage, notes: ["cut"] };
    const { leave, worker } = await invoke((context) => untilAbort(context).then(() => outcome));
    expect(await leave()).toEqual([{ ...outcome, body: Buffer.alloc(0) }]);
    await eventually(() => expect(worker.calls).toBe(0));
  });

  test("is not waited for when the worker says nothing, nor when the session breaks meanwhile", async () => {
    const mute = await invoke(() => new Promise(() => undefined));
    expect(await mute.leave()).toEqual([undefined]);
    const cut = await invoke(() => new Promise(() => undefined));
    const left = cut.leave();
    cut.cut();
    expect(await left).toEqual([undefined]);
  });
});
