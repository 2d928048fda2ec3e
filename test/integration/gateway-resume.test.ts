import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { StreamSink } from "#shared/rpc/worker-server.ts";
import { aiSdk, sdk, sdkV0 } from "../support/clients.ts";
import { cutEvents, readStream, withoutComments, withoutIds } from "../support/event-streams.ts";
import {
  answerStreamed,
  ask,
  bedKeys,
  beginStream,
  endStream,
  startGatewayBed,
  type GatewayBed,
} from "../support/gateway-bed.ts";
import { callIdOf, detach, streamed, useResumeBed, write } from "../support/use-resume-bed.ts";
import { blockStart, messageStart, streamEnd, streamText, textDelta } from "../support/wire-samples.ts";

const fleet = await useResumeBed();
const { bed } = fleet;

describe("a stream that may outlive its caller", () => {
  test("says so and numbers its events, and is else what it would be", async () => {
    const text = streamText("hello, ☕ and more", "m");
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, text);
      endStream(sink);
      return Promise.resolve();
    };
    const response = await bed.post("/v1/messages", streamed, detach);
    expect(response.headers.get("x-sluice-detach")).toBe("on");
    expect(response.headers.get("request-id")).toBe("req_up_2");
    const { text: numbered } = await readStream(response);
    expect(withoutIds(numbered)).toBe(text);
    expect(cutEvents(numbered).map(({ id }) => id)).toEqual(cutEvents(text).map((_event, index) => index + 1));
  });

  test.each([
    [
      "SDK 1.x",
      async () => readSdk(sdk({ url: bed.url, key: bedKeys.key }).messages.stream(question, { headers: detach })),
    ],
    [
      "SDK 0.x",
      async () => readSdk(sdkV0({ url: bed.url, key: bedKeys.key }).messages.stream(question, { headers: detach })),
    ],
    ["AI SDK", readAiSdk],
  ])("is read by the unmodified %s", async (_name, read) => {
    expect(await read()).toBe("hello from the worker");
  });

  test("of a caller that did not ask for it is not recorded and not numbered", async () => {
    for (const headers of [{}, { "x-sluice-on-disconnect": "cancel" }]) {
      const response = await bed.post("/v1/messages", streamed, headers);
      expect((await readStream(response)).text).not.toContain("id: ");
      expect(response.headers.has("x-sluice-detach")).toBe(false);
      expect((await fleet.getEvents(callIdOf(response))).status).toBe(404);
    }
  });

  test("goes on when its caller has left, and can be read to its end at any gateway", async () => {
    const { id, sink, signal, first } = await fleet.startDetached();
    await sleep(300);
    expect(signal.aborted).toBe(false);
    const rest = textDelta("all of it") + streamEnd();
    const following = fleet.getEvents(id).then((response) => readStream(response));
    write(sink, rest);
    endStream(sink);
    expect(withoutIds(withoutComments((await following).text))).toBe(first + rest);
    for (const query of [{ url: bed.url }, {}]) {
      const again = await readStream(await fleet.getEvents(id, query));
      expect([withoutIds(again.text), again.isComplete]).toEqual([first + rest, true]);
    }
    await expect.poll(() => bed.lines.find((line) => line.includes(id))).toContain('"code":"ok"');
  });

  test("whose caller did not read stood still for it, and goes on when it has left", async () => {
    await using large = await startGatewayBed({ config: { events: { max_bytes: "64MiB" } } });
    const chunk = textDelta("x".repeat(16_000));
    let written = 0;
    large.script.stream = async (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart("m", "msg_1") + blockStart());
      for (; written < 1500; written++)
        if (!write(sink, chunk)) await new Promise<void>((resolve) => (sink.source = { resume: resolve }));
      write(sink, streamEnd());
      endStream(sink);
    };
    const socket = await openRaw(large, streamed, detach);
    socket.pause();
    let before = -1;
    const standsStill = (): boolean => {
      const isStill = written > 0 && written === before;
      before = written;
      return isStill;
    };
    await expect.poll(standsStill, { interval: 200 }).toBe(true);
    expect(written).toBeLessThan(1500);
    socket.destroy();
    await expect.poll(() => written).toBe(1500);
    const id = large.calls.at(-1)?.head.id ?? "";
    const { text, isComplete } = await readStream(await fleet.getEvents(id, { url: large.url }));
    expect(isComplete).toBe(true);
    const wanted = messageStart("m", "msg_1") + blockStart() + chunk.repeat(1500) + streamEnd();
    expect(withoutIds(withoutComments(text)) === wanted).toBe(true);
  });

  test("goes on when its caller leaves before anything has been sent", async () => {
    const gate = Promise.withResolvers<void>();
    bed.script.stream = async (call, sink, context) => {
      await gate.promise;
      await answerStreamed(call, sink, context);
    };
    const before = bed.calls.length;
    const socket = await openRaw(bed, streamed, detach);
    await expect.poll(() => bed.calls.length).toBe(before + 1);
    socket.destroy();
    const id = bed.calls.at(-1)?.head.id ?? "";
    const { text, isComplete } = await readStream(await fleet.getEvents(id), (soFar) => {
      if (soFar.startsWith(": ping\n\n")) gate.resolve();
      return false;
    });
    expect(text).toMatch(/^(: ping\n\n)+id: 1\nevent: message_start\n/);
    expect(withoutComments(text)).toContain("event: message_stop");
    expect(isComplete).toBe(true);
  });

  test("that fails without its caller ends in the recording with the error event", async () => {
    const gate = Promise.withResolvers<void>();
    bed.script.stream = async (call, sink) => {
      await gate.promise;
      sink.outcome(errorOutcome(new GatewayError("overloaded", "no luck"), call.head.id));
    };
    const before = bed.calls.length;
    const socket = await openRaw(bed, streamed, detach);
    await expect.poll(() => bed.calls.length).toBe(before + 1);
    socket.destroy();
    const id = bed.calls.at(-1)?.head.id ?? "";
    const following = fleet.getEvents(id);
    gate.resolve();
    const { text } = await readStream(await following);
    expect(withoutComments(text)).toMatch(/^id: 1\nevent: error\ndata: .*"overloaded_error".*"no luck"/);
  });

  test("that is cut within an event is whole up to the event before, and ends with an error event", async () => {
    const { id, sink, first } = await fleet.startDetached();
    write(sink, "event: content_bl");
    endStream(sink, "cut");
    const { text } = await readStream(await fleet.getEvents(id));
    const events = cutEvents(withoutComments(text));
    expect(
      withoutIds(
        events
          .slice(0, 2)
          .map(({ text }) => text)
          .join(""),
      ),
    ).toBe(first);
    expect(events[2]).toMatchObject({ id: 3, text: expect.stringContaining("event: error\n") as unknown });
    expect(events).toHaveLength(3);
  });
});

describe("asked for wrongly", () => {
  test.each(["Detach", "detach,cancel", "drain"])("x-sluice-on-disconnect: %s is a 400", async (value) => {
    for (const body of [streamed, ask()]) {
      const answer = await bed.post("/v1/messages", body, { "x-sluice-on-disconnect": value });
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: { type: "invalid_request_error" } });
    }
  });

  test("is cancelled by its id, by its own key only, and its recording ends with an error event", async () => {
    const { id, signal, first } = await fleet.startDetached();
    const cancel = (key: string): Promise<Response> =>
      bed.post(`/v1/jobs/${id}/cancel`, undefined, { "x-api-key": key, "content-type": "text/plain" });
    const theirs = await cancel(bedKeys.otherKey);
    expect([theirs.status, signal.aborted]).toEqual([404, false]);
    const ours = await cancel(bedKeys.key);
    expect(ours.status).toBe(200);
    expect(await ours.json()).toEqual({ id, type: "message_job", status: "canceled" });
    await expect.poll(() => signal.aborted).toBe(true);
    const { text } = await readStream(await fleet.getEvents(id));
    expect(withoutIds(withoutComments(text)).startsWith(first)).toBe(true);
    expect(cutEvents(text).at(-1)?.text).toContain("event: error");
  });

  test("cannot have an idempotency key as well: the answer names both headers", async () => {
    const answer = await bed.post("/v1/messages", streamed, { ...detach, "idempotency-key": "one" });
    expect(answer.status).toBe(400);
    const { error } = (await answer.json()) as { error: { type: string; message: string } };
    expect(error.type).toBe("invalid_request_error");
    expect(error.message).toMatch(/x-sluice-on-disconnect.*idempotency-key/);
  });

  test("is detached when an SDK sends it again, too", async () => {
    const response = await bed.post("/v1/messages", streamed, { ...detach, "x-stainless-retry-count": "1" });
    expect(response.headers.get("x-sluice-detach")).toBe("on");
    await readStream(response);
  });

  test("a whole answer cannot be detached", async () => {
    expect((await bed.post("/v1/messages", ask(), detach)).status).toBe(400);
    expect((await bed.post("/v1/messages/count_tokens", ask(), detach)).status).toBe(400);
  });
});

test("a gateway that is told to stop finishes the streams that have no caller", async () => {
  await using leaving = await startGatewayBed();
  const opened = Promise.withResolvers<StreamSink>();
  const done = Promise.withResolvers<void>();
  leaving.script.stream = (_call, sink) => {
    beginStream(sink);
    write(sink, messageStart("m", "msg_1") + blockStart());
    opened.resolve(sink);
    return done.promise;
  };
  const response = await leaving.post("/v1/messages", streamed, detach);
  await readStream(response, (text) => cutEvents(withoutComments(text)).length >= 2);
  let isDrained = false;
  const draining = leaving.gateway.service.drain(new AbortController().signal).then(() => (isDrained = true));
  await sleep(300);
  expect(isDrained).toBe(false);
  const sink = await opened.promise;
  write(sink, streamEnd());
  endStream(sink);
  done.resolve();
  await draining;
  await using reading = await startGatewayBed({ config: { redis: { prefix: leaving.config.redis.prefix } } });
  const { text } = await readStream(await fleet.getEvents(callIdOf(response), { url: reading.url }));
  expect(withoutIds(text)).toBe(messageStart("m", "msg_1") + blockStart() + streamEnd());
});

const question = { model: "claude-opus-4-8", max_tokens: 64, messages: [{ role: "user" as const, content: "hi" }] };

async function readSdk(stream: { finalText(): Promise<string> }): Promise<string> {
  return stream.finalText();
}

async function readAiSdk(): Promise<string> {
  const { streamText } = await import("ai");
  const model = aiSdk({ url: bed.url, key: bedKeys.key })("claude-opus-4-8");
  return streamText({ model, prompt: "hi", headers: detach }).text;
}

/** A call over a socket of our own, its answer unread. */
async function openRaw(to: GatewayBed, body: unknown, headers: Readonly<Record<string, string>>): Promise<Socket> {
  const socket = connect(Number(new URL(to.url).port), "127.0.0.1");
  await once(socket, "connect");
  const text = JSON.stringify(body);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\n${lines.join("")}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}
