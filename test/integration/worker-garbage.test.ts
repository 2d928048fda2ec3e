import { runInNewContext } from "node:vm";
import { expect, inject, test } from "vitest";
import { collectGarbage } from "#shared/runtime/collect-garbage.ts";
import type { StreamSink } from "#shared/rpc/call-handler.ts";
import { chunk, lastChunk, startScriptedUpstream, streamHead } from "../support/scripted-upstream.ts";
import { streamText } from "../support/wire-samples.ts";
import { makeCall, makeContext, startWorkerHarness } from "../support/worker-harness.ts";

/** What each call holds for as long as somebody holds the call. */
const ballastBytes = 8192;
const mebibyte = 2 ** 20;

interface LadenSink extends StreamSink {
  readonly ballast: readonly number[];
}

function makeSink(ended: () => void): LadenSink {
  return {
    source: undefined,
    ballast: Array.from({ length: ballastBytes / 8 }, (_, at) => at + 0.5),
    outcome: ({ status }) => expect(status, "of a stream").toBe(200),
    head: () => undefined,
    write: () => true,
    end: ended,
  };
}

test("streams that have ended do not outlive small collections", async () => {
  await using upstream = await startScriptedUpstream();
  upstream.always([streamHead({}), chunk(streamText("an answer")), lastChunk]);
  await using worker = await startWorkerHarness({ providers: { a: upstream.url }, redisUrl: inject("redisUrl") });
  const stream = async (): Promise<void> => {
    const call = makeCall({ stream: true });
    const ended = Promise.withResolvers<void>();
    await worker.handler.stream(call, makeSink(ended.resolve), makeContext());
    await ended.promise;
  };
  const streamMany = async (many: number, collect: () => void): Promise<void> => {
    for (let round = 0; round < many / 100; round++) {
      for (let wave = 0; wave < 5; wave++) await Promise.all(Array.from({ length: 20 }, stream));
      collect();
    }
  };
  collectGarbage();
  const collectYoung = runInNewContext("() => gc({ type: 'minor' })") as () => void;
  await streamMany(500, collectYoung);
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  await streamMany(1000, collectYoung);
  collectYoung();
  expect(process.memoryUsage().heapUsed - before, "bytes left of 8 MB").toBeLessThan(4 * mebibyte);
});
