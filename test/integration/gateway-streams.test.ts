import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { StreamSink } from "#shared/rpc/worker-server.ts";
import {
  answerStreamed,
  ask,
  bedKeys,
  beginStream,
  endStream,
  startGatewayBed,
  type GatewayBed,
} from "../support/gateway-bed.ts";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";
import { blockStart, event, messageStart, streamEnd, streamText, textDelta } from "../support/wire-samples.ts";

const bed = await useGatewayBed();
/** Commits and pings soon. */
const hasty = await useGatewayBed({ config: { server: { commit_after: "600ms", ping_after: "400ms" } } });

const streamed = ask({ stream: true });
const write = (sink: StreamSink, text: string): boolean => sink.write(Buffer.from(text));

/** The answer's text as far as it came, told as it comes, and whether it ended as a complete answer does. */
async function readAll(
  response: Response,
  heard: (soFar: string) => void = () => undefined,
): Promise<{ text: string; complete: boolean }> {
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      heard(text);
    }
    return { text, complete: true };
  } catch {
    return { text, complete: false };
  }
}

function errorEventOf(text: string): unknown {
  const data = /event: error\ndata: (.*)\n\n$/.exec(text)?.[1];
  return data === undefined ? undefined : JSON.parse(data);
}

describe("a stream", () => {
  test("is relayed byte for byte, with the headers that tell its way", async () => {
    const text = streamText("hello, ☕ and more");
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, text);
      endStream(sink);
      return Promise.resolve();
    };
    const response = await bed.post("/v1/messages", streamed);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "request-id": "req_up_2",
      "x-sluice-request-id": expect.stringMatching(/^call_/) as unknown,
      "x-sluice-provider": "one",
      "x-sluice-model": "claude-opus-4-8",
      "x-sluice-attempts": "1",
      "x-sluice-queue-ms": "0",
      "x-accel-buffering": "no",
    });
    expect(await readAll(response)).toEqual({ text, complete: true });
  });

  test("arrives as it is written, not at its end", async () => {
    const gate = Promise.withResolvers<void>();
    bed.script.stream = async (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart());
      await gate.promise;
      write(sink, blockStart() + streamEnd());
      endStream(sink);
    };
    const response = await bed.post("/v1/messages", streamed);
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("message_start");
    gate.resolve();
    for (;;) if ((await reader?.read())?.done) break;
  });

  test("of many pieces cut anywhere comes out the same", async () => {
    const text = streamText("ä€😀 ".repeat(200)).replaceAll("\n", "\r\n");
    const bytes = Buffer.from(text);
    bed.script.stream = async (_call, sink) => {
      beginStream(sink);
      for (let at = 0; at < bytes.length; at += 7) {
        sink.write(bytes.subarray(at, at + 7));
        if (at % 700 === 0) await sleep(0);
      }
      endStream(sink);
    };
    expect(await readAll(await bed.post("/v1/messages", streamed))).toEqual({ text, complete: true });
  });

  test("that fails before it begins is an ordinary answer", async () => {
    bed.script.stream = (call, sink) => {
      sink.outcome(errorOutcome(new GatewayError("rate_limited", "limited", { retryAfterS: 7 }), call.head.id));
      return Promise.resolve();
    };
    const response = await bed.post("/v1/messages", streamed);
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "7"]);
    expect(await response.json()).toMatchObject({
      error: { type: "rate_limit_error" },
      request_id: response.headers.get("request-id"),
    });
  });
});

describe("a stream that is late", () => {
  test("gets its 200 and comments, then its own bytes, under our request-id", async () => {
    const gate = Promise.withResolvers<void>();
    const text = streamText("late");
    hasty.script.stream = async (_call, sink) => {
      await gate.promise;
      beginStream(sink);
      write(sink, text);
      endStream(sink);
    };
    const response = await hasty.post("/v1/messages", streamed);
    expect(response.status).toBe(200);
    expect(response.headers.get("request-id")).toBe(response.headers.get("x-sluice-request-id"));
    const all = await readAll(response, (soFar) => {
      if (soFar.startsWith(": ping\n\n: ping\n\n")) gate.resolve();
    });
    expect(all.complete).toBe(true);
    expect(all.text.endsWith(text)).toBe(true);
    expect(all.text.slice(0, -text.length)).toMatch(/^(: ping\n\n){2,}$/);
  });

  test("and then fails ends with an error event and a closed socket", async () => {
    const gate = Promise.withResolvers<void>();
    hasty.script.stream = async (call, sink) => {
      await gate.promise;
      sink.outcome(errorOutcome(new GatewayError("overloaded", "no luck"), call.head.id));
    };
    const response = await hasty.post("/v1/messages", streamed);
    gate.resolve();
    const { text } = await readAll(response);
    expect(errorEventOf(text)).toMatchObject({
      type: "error",
      error: { type: "overloaded_error", message: "no luck" },
      request_id: response.headers.get("request-id"),
    });
  });
});

describe("a stream that has begun", () => {
  test("gets a ping after a silence, between two events only", async () => {
    const pinged = Promise.withResolvers<void>();
    const delta = textDelta("half");
    const ping = event("ping", {});
    hasty.script.stream = async (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart("m", "msg_1"));
      await pinged.promise;
      write(sink, delta.slice(0, 20));
      await sleep(900);
      write(sink, delta.slice(20) + streamEnd());
      endStream(sink);
    };
    const { text } = await readAll(await hasty.post("/v1/messages", streamed), (soFar) => {
      if (soFar.includes(ping)) pinged.resolve();
    });
    expect(text.replaceAll(ping, "")).toBe(messageStart("m", "msg_1") + delta + streamEnd());
    expect(text).toContain(messageStart("m", "msg_1") + ping);
    expect(text).toContain(delta);
  });

  test("and is cut by the provider ends with an error event and a closed socket", async () => {
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart() + blockStart() + textDelta("a"));
      endStream(sink, "cut");
      return Promise.resolve();
    };
    const response = await bed.post("/v1/messages", streamed);
    const { text } = await readAll(response);
    expect(errorEventOf(text)).toMatchObject({
      error: { type: "overloaded_error" },
      request_id: response.headers.get("request-id"),
    });
  });

  test("and is cut within an event is never taken for complete, and the error event can be read", async () => {
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart() + blockStart() + "event: content_bl");
      endStream(sink, "cut");
      return Promise.resolve();
    };
    const { text, complete } = await readAll(await bed.post("/v1/messages", streamed));
    expect(complete).toBe(false);
    expect(text).toContain("\nevent: error\ndata: {");
  });

  test("and ends with the provider's own error event gets no second one", async () => {
    const error = event("error", { error: { type: "overloaded_error", message: "theirs" } });
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart() + error);
      endStream(sink, "error_event");
      return Promise.resolve();
    };
    const { text } = await readAll(await bed.post("/v1/messages", streamed));
    expect(text.match(/event: error/g)).toHaveLength(1);
    expect(text.endsWith(error)).toBe(true);
  });

  test("closes the connection after its error event", async () => {
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart());
      endStream(sink, "cut");
      return Promise.resolve();
    };
    const socket = await openRaw(bed, streamed);
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    await once(socket, "close");
    expect(answer).toContain("event: error");
  });

  test("and outlives its longest time ends with an error event", async () => {
    await using short = await startGatewayBed({ config: { server: { max_stream_seconds: "500ms" } } });
    let cancelled = false;
    short.script.stream = (_call, sink, { signal }) => {
      signal.addEventListener("abort", () => (cancelled = true));
      beginStream(sink);
      write(sink, messageStart());
      return new Promise(() => undefined);
    };
    const { text } = await readAll(await short.post("/v1/messages", streamed));
    expect(errorEventOf(text)).toMatchObject({ error: { type: "timeout_error" } });
    await expect.poll(() => cancelled).toBe(true);
  });
});

describe("a caller", () => {
  test("that leaves has its stream cancelled within a second", async () => {
    const leave = async (): Promise<number> => {
      const cancelled = Promise.withResolvers<void>();
      bed.script.stream = (_call, sink, { signal }) => {
        signal.addEventListener("abort", () => cancelled.resolve());
        beginStream(sink);
        write(sink, messageStart());
        return new Promise(() => undefined);
      };
      const response = await bed.post("/v1/messages", streamed);
      const leftAt = performance.now();
      await response.body?.cancel();
      await cancelled.promise;
      return performance.now() - leftAt;
    };
    expect(await bestOf(3, leave, 1000)).toBeLessThan(1000);
    await expect.poll(() => bed.lines.at(-1)).toContain('"code":"cancelled"');
  });

  test("that leaves before anything was sent has its stream cancelled too", async () => {
    const cancelled = Promise.withResolvers<void>();
    const before = bed.calls.length;
    bed.script.stream = (_call, _sink, { signal }) => {
      signal.addEventListener("abort", () => cancelled.resolve());
      return new Promise(() => undefined);
    };
    const leave = new AbortController();
    const call = fetch(`${bed.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": bedKeys.key },
      body: JSON.stringify(streamed),
      signal: leave.signal,
    });
    await expect.poll(() => bed.calls.length).toBe(before + 1);
    leave.abort();
    await expect(call).rejects.toThrow();
    await cancelled.promise;
  });

  test("that does not read stops its own provider and nobody else's", async () => {
    const chunk = Buffer.from(textDelta("x".repeat(16_000)));
    const total = 2000 * chunk.length;
    let written = 0;
    bed.script.stream = async (call, sink, context) => {
      if (call.head.askedModel !== "opus") return answerStreamed(call, sink, context);
      beginStream(sink);
      for (let index = 0; index < 2000; index++) {
        if (!sink.write(chunk)) await new Promise<void>((resolve) => (sink.source = { resume: resolve }));
        written += chunk.length;
      }
      endStream(sink);
      return undefined;
    };
    const socket = await openRaw(bed, ask({ model: "opus", stream: true }));
    socket.pause();
    let before = -1;
    await expect
      .poll(
        () => {
          const still = written === before;
          before = written;
          return still && written > 0;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(written).toBeLessThan(16_000_000);
    expect((await bed.post("/v1/messages", streamed)).status).toBe(200);
    let received = 0;
    socket.on("data", (chunk: Buffer) => (received += chunk.length)).resume();
    await expect.poll(() => received).toBeGreaterThan(total);
    expect(written).toBe(total);
    socket.destroy();
  });
});

describe("waiting for capacity", () => {
  const refused = {
    provider: "one",
    model: "claude-opus-4-8",
    startedAt: 1,
    endedAt: 2,
    status: 429,
    reason: "rate_limited",
  } as const;
  const blockedFor = (ms: number) => ({
    ...errorOutcome(new GatewayError("rate_limited", "limited", { retryAfterS: 1 }), "x"),
    attempts: [refused],
    notes: ["plan: one on trial"],
    blockedUntil: Date.now() + ms,
  });

  test("is not done by a stream that did not ask for it", async () => {
    bed.script.stream = (_call, sink) => Promise.resolve(sink.outcome(blockedFor(100)));
    expect((await bed.post("/v1/messages", streamed)).status).toBe(429);
  });

  test("is done as long as the caller allows, and shows in x-sluice-queue-ms", async () => {
    const askedAt: number[] = [];
    const deliveries: number[] = [];
    let blockedUntil = 0;
    bed.script.stream = (call, sink, context) => {
      askedAt.push(Date.now());
      deliveries.push(call.delivery);
      if (askedAt.length > 1) return answerStreamed(call, sink, context);
      const blocked = blockedFor(500);
      ({ blockedUntil } = blocked);
      return Promise.resolve(sink.outcome(blocked));
    };
    const response = await bed.post("/v1/messages", streamed, { "x-sluice-max-wait": "30s" });
    expect(deliveries).toEqual([1, 2]);
    expect(response.status).toBe(200);
    expect(askedAt[1]).toBeGreaterThanOrEqual(blockedUntil);
    // Of what it waited, all but the way there and back.
    expect(Number(response.headers.get("x-sluice-queue-ms"))).toBeGreaterThan(0);
    expect(response.headers.get("x-sluice-attempts")).toBe("2");
    await response.text();
    const trace = await eventually(async () => {
      const found = await bed.traces.get("key:bed", response.headers.get("x-sluice-request-id") ?? "");
      if (!found) throw new Error("not written yet");
      return found;
    });
    expect(trace.attempts).toEqual([refused]);
    expect(trace.waits.map(({ kind }) => kind)).toEqual(["capacity"]);
    expect(trace.notes).toEqual(["plan: one on trial"]);
  });

  test("ends at once when the limit lasts longer than the caller can wait", async () => {
    bed.script.stream = (_call, sink) => Promise.resolve(sink.outcome(blockedFor(60_000)));
    const response = await bed.post("/v1/messages", streamed, { "x-sluice-max-wait": "1s" });
    expect(response.status).toBe(429);
  });
});

test("without a worker a stream is a 529 within seconds", async () => {
  await using alone = await startGatewayBed({ workers: 0, dispatcher: false });
  const response = await alone.post("/v1/messages", streamed);
  expect([response.status, response.headers.get("retry-after")]).toEqual([529, "1"]);
});

/** A call over a socket of our own, its answer unread. */
async function openRaw(to: GatewayBed, body: unknown): Promise<Socket> {
  const socket = connect(Number(new URL(to.url).port), "127.0.0.1");
  await once(socket, "connect");
  const text = JSON.stringify(body);
  socket.write(
    `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}
