import { setImmediate as turn } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";

import type { StreamSink } from "#shared/rpc/worker-server.ts";
import { bestOf } from "../support/best-of.ts";
import { cutEvents, readStream, withoutComments, withoutIds } from "../support/event-streams.ts";
import { eventually } from "../support/eventually.ts";
import { bedKeys, beginStream, endStream, startGatewayBed } from "../support/gateway-bed.ts";
import { callIdOf, detach, streamed, useResumeBed, write } from "../support/use-resume-bed.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

const fleet = await useResumeBed({ max_bytes: "200KiB", max_readers: 40 });
const { bed } = fleet;

describe("cut at every event of 500", () => {
  const deltas = Array.from({ length: 495 }, (_value, index) => textDelta(`${index} ä€😀 `));
  const events = cutEvents(messageStart("m", "msg_1") + blockStart() + deltas.join("") + streamEnd()).map(
    ({ text }) => text,
  );
  const answer = async (sink: StreamSink): Promise<void> => {
    beginStream(sink);
    const bytes = Buffer.from(events.join(""));
    // In pieces that keep to no border.
    for (let at = 0; at < bytes.length; at += 1500) {
      sink.write(bytes.subarray(at, at + 1500));
      await turn();
    }
    endStream(sink);
  };
  let uncut: string;
  let id: string;
  beforeAll(async () => {
    bed.script.stream = (_call, sink) => answer(sink);
    const response = await bed.post("/v1/messages", streamed, detach);
    id = callIdOf(response);
    ({ text: uncut } = await readStream(response));
  });

  test("it has 500 events", () => {
    expect(events).toHaveLength(500);
    expect(withoutIds(uncut)).toBe(events.join(""));
    expect(cutEvents(uncut).at(-1)?.id).toBe(500);
  });

  test("the recording goes on from each of them byte for byte", async () => {
    const pieces = cutEvents(uncut).map(({ text }) => text);
    await inParallel(pieces.length + 1, async (after) => {
      const { text, isComplete } = await readStream(await fleet.getEvents(id, { after }));
      expect(text === pieces.slice(after).join(""), `after ${after}`).toBe(true);
      expect(isComplete).toBe(true);
    });
  });

  test("the stream that is left there and read on at another gateway joins to the uncut one byte for byte", async () => {
    let goingOn = 0;
    await inParallel(events.length, async (index) => {
      const after = index + 1;
      bed.script.stream = (_call, sink) => answer(sink);
      const response = await bed.post("/v1/messages", streamed, detach);
      const left = await readStream(response, (text) => cutEvents(text).length >= after);
      const whole = cutEvents(left.text).slice(0, after);
      expect(whole.at(-1)?.id).toBe(after);
      if (cutEvents(left.text).length < events.length) goingOn += 1;
      const rest = await readStream(await fleet.getEvents(callIdOf(response), { after }));
      const joined = whole.map(({ text }) => text).join("") + withoutComments(rest.text);
      expect(joined === uncut, `cut at ${after}`).toBe(true);
    });
    // Most were left while the answer was still coming.
    expect(goingOn).toBeGreaterThan(400);
  }, 120_000);
});

describe("a recording", () => {
  test("is followed as it grows, with comments in silence", async () => {
    const { id, sink, first } = await fleet.startDetached();
    const response = await fleet.getEvents(id, { after: 1 });
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
      "x-sluice-request-id": id,
    });
    let text = "";
    const reading = readStream(response, (soFar) => {
      text = soFar;
      return false;
    });
    await expect.poll(() => text).toContain("id: 2\n");
    await expect.poll(() => text).toContain(": ping\n\n");
    const words: string[] = [];
    const follow = async (round: number): Promise<number> => {
      const writtenAt = performance.now();
      words.push(`word ${round}`);
      write(sink, textDelta(`word ${round}`));
      await expect.poll(() => text, { interval: 5 }).toContain(`word ${round}`);
      return performance.now() - writtenAt;
    };
    await follow(0);
    expect(await bestOf(3, (round) => follow(round + 1), 500)).toBeLessThan(500);
    write(sink, streamEnd());
    endStream(sink);
    expect((await reading).isComplete).toBe(true);
    const wanted = cutEvents(first)[1]?.text + words.map((word) => textDelta(word)).join("") + streamEnd();
    expect(withoutIds(withoutComments(text))).toBe(wanted);
  });

  test("is read by many at once, and by none beyond the limit", async () => {
    const { id, sink } = await fleet.startDetached();
    const responses = await Promise.all(Array.from({ length: 40 }, () => fleet.getEvents(id)));
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
    const refused = await fleet.getEvents(id);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([529, "1"]);
    write(sink, streamEnd());
    endStream(sink);
    const texts = await Promise.all(
      responses.map(async (response) => withoutComments((await readStream(response)).text)),
    );
    expect(new Set(texts).size).toBe(1);
    await eventually(async () => expect((await fleet.getEvents(id, { method: "HEAD" })).status).toBe(200));
  });

  test("is nobody's but its key's", async () => {
    const response = await bed.post("/v1/messages", streamed, detach);
    await response.text();
    const id = callIdOf(response);
    for (const asked of [
      fleet.getEvents(id, { key: bedKeys.otherKey }),
      fleet.getEvents("call_unknown"),
      fleet.getEvents("x".repeat(500)),
    ]) {
      const answer = await asked;
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ error: { type: "not_found_error" } });
    }
    expect((await fleet.getEvents(id, { key: "sk-wrong" })).status).toBe(401);
    expect((await fleet.getEvents(id, { method: "POST" })).status).toBe(405);
  });

  test("is not read from anywhere but one of its events", async () => {
    const response = await bed.post("/v1/messages", streamed, detach);
    const last = cutEvents(await response.text()).length;
    const id = callIdOf(response);
    await eventually(async () => expect(await (await fleet.getEvents(id, { after: last })).text()).toBe(""));
    for (const after of ["-1", "1.5", "abc", "0x1", "9".repeat(13), `${last + 1}`]) {
      const answer = await fleet.getEvents(id, { after });
      expect(answer.status, after).toBe(400);
      expect(await answer.json()).toMatchObject({
        error: { type: "invalid_request_error", message: expect.stringContaining("Last-Event-ID") as unknown },
      });
    }
  });

  test("ends where it is as large as it may be: then the stream is its caller's alone, and ends without one", async () => {
    const { id, sink, signal } = await fleet.startDetached();
    const large = textDelta("x".repeat(30_000));
    for (let index = 0; index < 7; index++) write(sink, large);
    await expect.poll(() => signal.aborted).toBe(true);
    const { text } = await readStream(await fleet.getEvents(id));
    expect(text.length).toBeLessThan(210_000);
    expect(cutEvents(text).at(-1)?.text).toMatch(/event: error\ndata: .*largest size/);

    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart("m", "msg_1") + blockStart() + large.repeat(8) + streamEnd());
      endStream(sink);
      return Promise.resolve();
    };
    const attended = await readStream(await bed.post("/v1/messages", streamed, detach));
    expect(attended.isComplete).toBe(true);
    expect(withoutIds(attended.text)).toBe(messageStart("m", "msg_1") + blockStart() + large.repeat(8) + streamEnd());
  });

  test("is gone when its time is up", async () => {
    const response = await bed.post("/v1/messages", streamed, detach);
    await response.text();
    const name = `{${bed.config.redis.prefix}}:events:7:key:bed:${callIdOf(response)}`;
    const left = await fleet.redis.client.pttl(name);
    expect(left).toBeGreaterThan(10_000);
    expect(left).toBeLessThanOrEqual(20_000);
    await fleet.redis.client.pexpire(name, 1);
    await eventually(async () => expect((await fleet.getEvents(callIdOf(response))).status).toBe(404));
  });

  test("whose gateway died stays readable and ends with an error event", async () => {
    const owner = { keyId: "key:bed", callId: "call_of_a_dead_gateway" };
    expect(await fleet.log.begin(owner)).toBe(true);
    const bytes = Buffer.from(messageStart("m", "msg_1") + blockStart());
    expect(await fleet.log.append(owner, { id: "2-0", first: 1, bytes }, "0-1")).toBe(true);
    const { text } = await readStream(await fleet.getEvents(owner.callId));
    const events = cutEvents(withoutComments(text));
    expect(
      withoutIds(
        events
          .slice(0, 2)
          .map(({ text }) => text)
          .join(""),
      ),
    ).toBe(bytes.toString());
    expect(events[2]).toMatchObject({ id: undefined, text: expect.stringContaining("event: error\n") as unknown });
    expect(events).toHaveLength(3);
  });
});

describe("cancelling", () => {
  test("a detached stream ends it up to the worker, and its recording with an error event", async () => {
    const { id, signal } = await fleet.startDetached();
    expect(await fleet.log.cancel({ keyId: "key:other", callId: id })).toBe(false);
    expect(signal.aborted).toBe(false);
    const following = fleet.getEvents(id).then((response) => readStream(response));
    expect(await fleet.log.cancel({ keyId: "key:bed", callId: id })).toBe(true);
    await expect.poll(() => signal.aborted).toBe(true);
    expect(cutEvents((await following).text).at(-1)?.text).toMatch(/event: error\ndata: .*was cancelled/);
    await expect.poll(() => bed.lines.find((line) => line.includes(id))).toContain('"code":"cancelled"');
    expect(await fleet.log.cancel({ keyId: "key:bed", callId: id })).toBe(false);
  });

  test("takes less than a second", async () => {
    const cancel = async (): Promise<number> => {
      const { id, signal } = await fleet.startDetached();
      const askedAt = performance.now();
      expect(await fleet.log.cancel({ keyId: "key:bed", callId: id })).toBe(true);
      await expect.poll(() => signal.aborted, { interval: 5 }).toBe(true);
      return performance.now() - askedAt;
    };
    expect(await bestOf(3, cancel, 1000)).toBeLessThan(1000);
  });

  test("one whose caller is still there tells that one too", async () => {
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      write(sink, messageStart("m", "msg_1"));
      return new Promise(() => undefined);
    };
    const response = await bed.post("/v1/messages", streamed, detach);
    const reading = readStream(response);
    expect(await fleet.log.cancel({ keyId: "key:bed", callId: callIdOf(response) })).toBe(true);
    expect((await reading).text).toMatch(/\n\nid: 2\nevent: error\ndata: .*was cancelled.*\n\n$/);
  });

  test("one that has not begun gives its caller an ordinary answer", async () => {
    bed.script.stream = () => new Promise(() => undefined);
    const before = bed.calls.length;
    const answering = bed.post("/v1/messages", streamed, detach);
    await expect.poll(() => bed.calls.length).toBe(before + 1);
    expect(await fleet.log.cancel({ keyId: "key:bed", callId: bed.calls.at(-1)?.head.id ?? "" })).toBe(true);
    expect((await answering).status).toBe(499);
  });
});

test("with a key nothing of a recording lies in Redis in the clear", async () => {
  await using sealed = await startGatewayBed({ config: { redis: { encryption_key: "ab".repeat(32) } } });
  sealed.script.stream = (_call, sink) => {
    beginStream(sink);
    write(sink, messageStart("m", "msg_1") + blockStart() + textDelta("a secret word") + streamEnd());
    endStream(sink);
    return Promise.resolve();
  };
  const response = await sealed.post("/v1/messages", streamed, detach);
  const { text } = await readStream(response);
  const id = callIdOf(response);
  await eventually(async () => expect(await (await fleet.getEvents(id, { url: sealed.url })).text()).toBe(text));
  const name = `{${sealed.config.redis.prefix}}:events:7:key:bed:${id}`;
  const stored = JSON.stringify(await fleet.redis.client.xrange(name, "-", "+"));
  expect(stored).not.toContain("secret");
  expect(stored.length).toBeGreaterThan(text.length / 2);
});

/** Runs `task` for 0 to before `count`, a few at a time. */
async function inParallel(count: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const runner = async (): Promise<void> => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: 8 }, runner));
}
