import { describe, expect, test } from "vitest";
import type { StreamLimits } from "../../services/worker/engine/stream-attempt.ts";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import {
  chunk,
  hangUp,
  lastChunk,
  reset,
  stall,
  startScriptedUpstream,
  streamHead,
  wholeAnswer,
  type Script,
  type ScriptedUpstream,
  type Step,
} from "../support/scripted-upstream.ts";
import { useWorkerBed } from "../support/use-worker-bed.ts";
import {
  blockStart,
  errorBody,
  event,
  messageBody,
  messageStart,
  ping,
  streamEnd,
  streamText,
  textDelta,
} from "../support/wire-samples.ts";
import {
  errorOf,
  makeCall,
  modelName,
  reasonsOf,
  startStream,
  type Streamed,
  type WorkerHarness,
} from "../support/worker-harness.ts";

const { a, b, start } = await useWorkerBed(streamed);

function streamed(text: string): Script {
  return [streamHead({ "request-id": "req_s" }), chunk(streamText(text)), lastChunk];
}

/** A stream that ends after these events, the way the steps say. */
function broken(events: string, ...steps: readonly Step[]): Script {
  return [streamHead({ "request-id": "req_s" }), ...(events === "" ? [] : [chunk(events)]), ...steps];
}

const errorEvent = (type: string, message = "sorry"): string => event("error", { error: { type, message } });
const begun = (): string => messageStart() + blockStart() + textDelta("some");

function stream(harness: WorkerHarness, more: Parameters<typeof makeCall>[0] = {}): Streamed {
  return startStream(harness, makeCall({ stream: true, ...more }));
}

async function streamedWhole(harness: WorkerHarness): Promise<Streamed> {
  const streaming = stream(harness);
  await streaming.done;
  return streaming;
}

describe("relaying", () => {
  test("bytes pass as they came, and the trailer tells what they said", async () => {
    await using harness = await start();
    const text = messageStart() + blockStart() + textDelta("ünï ☃") + event("brand_new_event", { x: 1 }) + streamEnd();
    a.next([streamHead({ "request-id": "req_1", "x-internal": "no" }), chunk(text), lastChunk]);
    const { sink, context } = await streamedWhole(harness);
    expect(sink.text).toBe(text);
    expect(sink.answerHead).toEqual({
      status: 200,
      headers: { "content-type": "text/event-stream; charset=utf-8", "request-id": "req_1" },
      provider: "a",
      model: modelName,
      attempts: 1,
    });
    expect(sink.trailer).toMatchObject({ end: "complete", code: "ok", provider: "a", usage: { output_tokens: 7 } });
    expect(sink.trailer?.attempts).toMatchObject([{ reason: "ok", status: 200, upstreamRequestId: "req_1" }]);
    expect(sink.events.at(-1)).toBe("end");
    expect(context.sentNotes).toMatchObject([{ provider: "a", model: modelName }]);
  });

  test("a stream cut into single bytes, with CRLF, comes out the same", async () => {
    await using harness = await start();
    const text = streamText("ünï ☃ text").replaceAll("\n", "\r\n");
    a.next([streamHead(), ...[...Buffer.from(text)].map((byte) => chunk(Buffer.from([byte]))), lastChunk]);
    const { sink } = await streamedWhole(harness);
    expect(sink.text).toBe(text);
    expect(sink.trailer?.end).toBe("complete");
  });

  test("content leaves as it comes, before the stream has ended", async () => {
    await using harness = await start();
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    a.next([streamHead(), chunk(begun()), held, chunk(streamEnd()), lastChunk]);
    const { sink, done } = stream(harness);
    await eventually(() => expect(sink.text).toContain("some"));
    expect(sink.trailer).toBeUndefined();
    goOn();
    await done;
    expect(sink.trailer?.end).toBe("complete");
  });

  test("message_start waits for content, but no longer than the hold", async () => {
    await using harness = await start({ streams: { holdMs: 150 } });
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    a.next([streamHead(), chunk(messageStart() + ping), held, chunk(blockStart() + streamEnd()), lastChunk]);
    const { sink, done } = stream(harness);
    const startedAt = Date.now();
    await eventually(() => expect(sink.events).toContain("data"));
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(140);
    goOn();
    await done;
    expect(sink.trailer?.end).toBe("complete");
  });

  test("the answer ends with message_stop, not when the provider closes", async () => {
    await using harness = await start();
    a.next([streamHead(), chunk(streamText("x")), stall]);
    const { sink } = await streamedWhole(harness);
    expect(sink.trailer?.end).toBe("complete");
  });

  test("a connection is used again after a stream", async () => {
    await using harness = await start();
    const before = a.connections;
    for (let i = 0; i < 4; i += 1) {
      await streamedWhole(harness);
      await eventually(() => expect(a.openSockets).toBe(1));
    }
    expect(a.connections - before).toBeLessThanOrEqual(2);
  });

  test("a slow reader slows the provider down, and gets everything", async () => {
    await using harness = await start();
    const delta = textDelta("x".repeat(60_000));
    let written = 0;
    const many = Array.from({ length: 300 }, () => chunk(delta));
    a.next([streamHead(), chunk(messageStart() + blockStart()), ...many, chunk(streamEnd()), lastChunk]);
    const { sink, done } = stream(harness);
    sink.stopReading();
    await eventually(() => expect(sink.bytes).toBeGreaterThan(0));
    await eventually(() => {
      const before = written;
      written = sink.bytes;
      expect(written).toBe(before);
    });
    expect(written).toBeLessThan(1_000_000);
    sink.drain();
    await done;
    expect(sink.bytes).toBeGreaterThan(300 * 60_000);
    expect(sink.trailer?.end).toBe("complete");
  });

  test("a thread is bound before its stream ends", async () => {
    await using harness = await start();
    a.next([streamHead(), chunk(messageStart(modelName, "msg_bound") + blockStart() + streamEnd()), lastChunk]);
    const body = { model: modelName, max_tokens: 5, stream: true, messages: [], thread: { type: "create" } };
    const { sink, done } = stream(harness, { body });
    await done;
    expect(sink.trailer?.end).toBe("complete");
    const places = await harness.affinity.places("key:test", { threadId: "msg_bound" });
    expect(places.bound).toEqual({ provider: "a", model: modelName });
  });
});

describe("before content", () => {
  const rows: readonly (readonly [string, Script, readonly string[]])[] = [
    ["a 529 fails over", wholeAnswer(529, JSON.stringify(errorBody(529))), ["overloaded", "overloaded", "ok"]],
    [
      "an overloaded_error event counts as a 529",
      broken(messageStart() + ping + errorEvent("overloaded_error"), lastChunk),
      ["overloaded", "overloaded", "ok"],
    ],
    [
      "an error event as the very first counts",
      broken(errorEvent("api_error"), lastChunk),
      ["server_error", "server_error", "ok"],
    ],
    [
      "a rate_limit_error event counts as a 429",
      broken(errorEvent("rate_limit_error"), lastChunk),
      ["rate_limited", "ok"],
    ],
    [
      "an authentication_error event counts as a 401",
      broken(errorEvent("authentication_error"), lastChunk),
      ["credential_refused", "ok"],
    ],
    ["an end without anything is run once more", broken("", lastChunk), ["stream_cut", "ok"]],
    ["an end after message_start is run once more", broken(messageStart(), lastChunk), ["stream_cut", "ok"]],
    ["a reset after message_start is run once more", broken(messageStart(), reset), ["stream_cut", "ok"]],
    [
      "a document instead of events is judged as one",
      wholeAnswer(200, JSON.stringify(errorBody(529))),
      ["overloaded", "overloaded", "ok"],
    ],
    [
      "an HTML page fails over",
      wholeAnswer(200, "<html>", { "content-type": "text/html" }),
      ["server_error", "server_error", "ok"],
    ],
  ];
  test.each(rows)("%s", async (_, script, reasons) => {
    await using harness = await start();
    a.always(script);
    const { sink } = await streamedWhole(harness);
    expect(reasonsOf(sink.trailer ?? sink.refused)).toEqual(reasons);
    if (reasons.at(-1) === "ok") expect(sink.text).toContain("from b");
    else expect(sink.events).toEqual(["outcome"]);
  });

  test("what was held back of a failed attempt never reaches the caller", async () => {
    await using harness = await start();
    a.always(broken(messageStart(modelName, "msg_of_a") + errorEvent("overloaded_error"), lastChunk));
    const { sink } = await streamedWhole(harness);
    expect(sink.text).not.toContain("msg_of_a");
    expect(sink.answerHead).toMatchObject({ provider: "b", attempts: 3 });
  });

  test("an invalid_request_error event is answered as a 400", async () => {
    await using harness = await start();
    a.next(broken(messageStart() + errorEvent("invalid_request_error", "too long"), lastChunk));
    const { sink } = await streamedWhole(harness);
    expect(sink.refused).toMatchObject({
      status: 400,
      code: "upstream",
      headers: { "content-type": "application/json", "request-id": "req_s" },
    });
    expect(errorOf(sink.refused)).toEqual({ type: "invalid_request_error", message: "too long" });
  });

  test("a whole message where events should be is no stream", async () => {
    await using harness = await start({ providers: { a: a.url } });
    a.always(wholeAnswer(200, JSON.stringify(messageBody("whole"))));
    const { sink } = await streamedWhole(harness);
    expect(sink.refused?.status).toBe(502);
  });

  test("limited everywhere gives the time to come again", async () => {
    await using harness = await start();
    const refusal = (retryAfter: string): Script =>
      wholeAnswer(429, JSON.stringify(errorBody(429)), { "retry-after": retryAfter });
    a.next(refusal("60"));
    b.next(refusal("7"));
    const { sink } = await streamedWhole(harness);
    expect(sink.refused).toMatchObject({ status: 429, headers: { "retry-after": "7" } });
    expect(sink.refused?.blockedUntil).toBeGreaterThan(Date.now());
  });
});

describe("after content", () => {
  test("the provider's error event is relayed as it came, and the call has failed", async () => {
    await using harness = await start();
    const text = begun() + errorEvent("overloaded_error", "mid-stream");
    a.next(broken(text, stall));
    const { sink } = await streamedWhole(harness);
    expect(sink.text).toBe(text);
    expect(sink.trailer).toMatchObject({ end: "error_event", code: "overloaded" });
    expect(reasonsOf(sink.trailer)).toEqual(["stream_error"]);
    expect(b.requests).toHaveLength(0);
    await eventually(() => expect(a.openSockets).toBe(0));
  });

  test.each([
    ["a clean end", lastChunk],
    ["a reset", reset],
    ["a closed connection", hangUp],
  ] as const)("%s between events becomes an error event", async (_, ending) => {
    await using harness = await start();
    a.next(broken(begun(), 30, ending));
    const { sink } = await streamedWhole(harness);
    expect(sink.text).toMatch(
      /event: error\ndata: \{"type":"error","error":\{"type":"api_error",.*"request_id":"req_s"\}\n\n$/,
    );
    expect(sink.trailer).toMatchObject({ end: "error_event", code: "internal" });
    expect(reasonsOf(sink.trailer)).toEqual(["stream_cut"]);
  });

  test("an end inside an event is only told by breaking the connection", async () => {
    await using harness = await start();
    const text = `${begun()}event: content_block_delta\ndata: {"type":"content_blo`;
    a.next(broken(text, 30, reset));
    const { sink } = await streamedWhole(harness);
    expect(sink.text).toBe(text);
    expect(sink.trailer?.end).toBe("cut");
  });

  test("an end without message_stop is never a success", async () => {
    await using harness = await start();
    a.next(broken(begun() + event("content_block_stop", { index: 0 }), lastChunk));
    const { sink } = await streamedWhole(harness);
    expect(sink.trailer?.end).not.toBe("complete");
    expect(sink.trailer?.code).not.toBe("ok");
  });

  test("a caller that leaves ends the provider's work within a second", async () => {
    await using harness = await start();
    const leave = async (round: number): Promise<number> => {
      a.next(broken(begun(), stall));
      const { sink, context, done } = stream(harness);
      await eventually(() => expect(sink.text).toContain("some"));
      const leftAt = performance.now();
      context.abort();
      await a.requests[round]?.closed;
      const tookMs = performance.now() - leftAt;
      await done;
      expect(sink.trailer).toMatchObject({ end: "cut", code: "cancelled" });
      return tookMs;
    };
    expect(await bestOf(3, leave, 1000)).toBeLessThan(1000);
    expect(b.requests).toHaveLength(0);
  });

  test("a caller that leaves before content does so too", async () => {
    await using harness = await start();
    a.next(broken(messageStart(), stall));
    const { context, done } = stream(harness);
    await eventually(() => expect(a.requests).toHaveLength(1));
    context.abort();
    await a.requests[0]?.closed;
    await done;
    expect(a.requests).toHaveLength(1);
    expect(b.requests).toHaveLength(0);
  });
});

/** A worker whose first provider is one test's only. */
interface OwnBed extends AsyncDisposable {
  readonly provider: ScriptedUpstream;
  readonly harness: WorkerHarness;
}

async function startAlone(streams: Partial<StreamLimits> = {}): Promise<OwnBed> {
  const provider = await startScriptedUpstream();
  const harness = await start({ providers: { a: provider.url, b: b.url }, streams });
  return {
    provider,
    harness,
    async [Symbol.asyncDispose]() {
      await harness.close();
      await provider.close();
    },
  };
}

// Each takes seconds: they wait side by side.
describe.concurrent("when time is up", () => {
  test("no status line in time is run once more", async () => {
    await using bed = await startAlone({ headersTimeoutMs: 3_000 });
    bed.provider.next([stall]);
    const { sink } = await streamedWhole(bed.harness);
    expect(reasonsOf(sink.trailer)).toEqual(["no_status", "ok"]);
    expect(sink.trailer?.attempts[1]).toMatchObject({ provider: "b", rerun: true });
  });

  test("the deadline bounds the time to first content", async () => {
    await using bed = await startAlone();
    bed.provider.next(broken(messageStart(), stall));
    const { sink, done } = stream(bed.harness, { deadlineMs: 3_000 });
    await done;
    expect(sink.refused).toMatchObject({ status: 504, headers: { "x-should-retry": "false" } });
  });

  test("silence is ended with a timeout_error, pings are no silence", async () => {
    await using bed = await startAlone({ idleMs: 4_000 });
    bed.provider.next(broken(begun(), 1_500, chunk(ping), 1_500, chunk(ping), 1_500, chunk(ping), stall));
    const { sink } = await streamedWhole(bed.harness);
    expect(sink.text.match(/event: ping/g)).toHaveLength(3);
    expect(sink.text).toContain('"type":"timeout_error"');
    expect(sink.trailer).toMatchObject({ end: "error_event", code: "timed_out" });
    expect(reasonsOf(sink.trailer)).toEqual(["idle"]);
    await eventually(() => expect(bed.provider.openSockets).toBe(0));
  });

  test("a reader's own slowness is no silence of the provider", async () => {
    await using bed = await startAlone({ idleMs: 2_500 });
    bed.provider.next([streamHead(), chunk(begun()), chunk(streamEnd()), lastChunk]);
    const { sink, done } = stream(bed.harness);
    sink.stopReading();
    const startedAt = Date.now();
    await eventually(() => expect(Date.now() - startedAt).toBeGreaterThan(3_000));
    sink.drain();
    await done;
    expect(sink.trailer?.end).toBe("complete");
  });

  test("a stream has a longest time", async () => {
    await using bed = await startAlone({ maxStreamMs: 2_500 });
    bed.provider.next(broken(begun(), 1_000, chunk(ping), 1_000, chunk(ping), 1_000, chunk(ping), stall));
    const { sink } = await streamedWhole(bed.harness);
    expect(sink.trailer).toMatchObject({ end: "error_event", code: "timed_out" });
  });
});
