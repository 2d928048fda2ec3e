import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import { toDrainFrame, toEndFrame, toResetFrame } from "./frames.ts";
import { Session } from "./session.ts";
import { workerProto } from "./worker-proto.ts";

const window = 100_000;

/** A session whose messages are kept, and what its channels and itself are told. */
function setUp() {
  const messages: Buffer[] = [];
  const told: unknown[] = [];
  const pipe = { open: true, write: (message: Buffer) => messages.push(message) > 0 && pipe.open };
  const listener = {
    frame: (frame: Frame__Output) => told.push(frame.body),
    idle: () => told.push("idle"),
    fault: (error: unknown) => told.push(error),
  };
  const session = new Session(pipe, listener, window);
  session.sendWindow = window;
  const frames = (): Frame__Output[] =>
    messages.flatMap((message) => workerProto().types.SessionRequest.deserialize(message).frames);
  return { session, messages, frames, pipe, told };
}

function owner(told: unknown[]): ChannelOwner {
  return {
    frame: (frame) => told.push(frame.body),
    data: (bytes) => told.push(bytes.length),
    room: () => told.push("room"),
    finished: () => told.push("finished"),
    broken: () => told.push("broken"),
  };
}

function open(session: Session, told: unknown[] = [], number = 1): Channel {
  return session.openChannel(number, owner(told));
}

/** The same message, as if the other side had sent it. */
function message(...frames: object[]): Buffer {
  return workerProto().types.SessionRequest.serialize({ frames });
}

test("all frames of one turn leave in one message, in their order", async () => {
  const { session, messages, frames } = setUp();
  const first = open(session, [], 1);
  const second = open(session, [], 2);
  first.send(Buffer.from("one"));
  await Promise.resolve();
  second.send(Buffer.from("two"));
  first.put(toResetFrame(1, "cancelled"));
  expect(messages).toHaveLength(0);
  await nextTurn();
  expect(messages).toHaveLength(1);
  expect(frames().map(({ call, body }) => [call, body])).toEqual([
    [1, "data"],
    [2, "data"],
    [1, "reset"],
  ]);
});

test("a frame that nobody waits for goes with the next message, or by itself a moment later", async () => {
  const { session, messages, frames } = setUp();
  const [first, second, third] = [1, 2, 3].map((number) => open(session, [], number));
  first?.closeWith(toResetFrame(1, "cancelled"));
  await nextTurn();
  expect(messages).toHaveLength(0);
  second?.send(Buffer.from("two"));
  await nextTurn();
  expect(frames().map(({ call, body }) => [call, body])).toEqual([
    [1, "reset"],
    [2, "data"],
  ]);
  second?.closeWith(toResetFrame(2, "cancelled"));
  await expect.poll(() => messages).toHaveLength(2);
  third?.closeWith(toResetFrame(3, "cancelled"));
  await nextTurn();
  expect(messages).toHaveLength(2);
  await expect.poll(() => messages).toHaveLength(3);
});

test("no message exceeds 256 KiB, and no data frame 32 KiB", async () => {
  const { session, messages, frames } = setUp();
  session.sendWindow = 10_000_000;
  const body = Buffer.alloc(1_000_000, "b");
  open(session).send(body);
  await nextTurn();
  expect(messages.length).toBeGreaterThan(3);
  for (const { length } of messages) expect(length).toBeLessThanOrEqual(256 * 1024);
  const data = frames().map((frame) => frame.data ?? Buffer.alloc(0));
  for (const { length } of data) expect(length).toBeLessThanOrEqual(32 * 1024);
  expect(Buffer.concat(data).equals(body)).toBe(true);
});

test("nothing is written after the pipe said stop, until it has drained; only credit goes ahead then", async () => {
  const { session, frames, pipe } = setUp();
  const channel = open(session);
  pipe.open = false;
  channel.send(Buffer.from("one"));
  await nextTurn();
  channel.send(Buffer.from("two"));
  channel.put(toResetFrame(1, "cancelled"));
  channel.consumed(window);
  await nextTurn();
  expect(frames()).toHaveLength(1);
  pipe.open = true;
  session.drained();
  expect(frames().map(({ body }) => body)).toEqual(["data", "credit", "data", "reset"]);
});

test("a sender stops at its credit, keeps what it took, and goes on when credit comes", async () => {
  const { session, frames } = setUp();
  const told: unknown[] = [];
  const channel = open(session, told);
  expect(channel.send(Buffer.alloc(window - 1))).toBe(true);
  expect(channel.send(Buffer.alloc(11))).toBe(false);
  expect(channel.send(Buffer.alloc(5))).toBe(false);
  await nextTurn();
  const sent = (): number => frames().reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
  expect(sent()).toBe(window);
  session.receive(message({ call: 1, credit: 12 }));
  expect(told).toEqual([]);
  session.receive(message({ call: 1, credit: 50 }));
  expect(told).toEqual(["room"]);
  await nextTurn();
  expect(sent()).toBe(window + 15);
});

test("the last frame of a call waits for its bytes", async () => {
  const { session, frames } = setUp();
  const told: unknown[] = [];
  const channel = open(session, told);
  channel.send(Buffer.alloc(window + 1));
  channel.finish(toEndFrame(1, { end: "complete", code: "ok", attempts: [], waits: [], notes: [] }));
  expect(channel.send(Buffer.from("late"))).toBe(false);
  await nextTurn();
  expect([channel.open, frames().at(-1)?.body]).toEqual([true, "data"]);
  session.receive(message({ call: 1, credit: 1 }));
  await nextTurn();
  expect([channel.open, frames().at(-1)?.body]).toEqual([false, "end"]);
  expect(told).toEqual(["finished"]);
});

test("credit is given back by half windows", async () => {
  const { session, frames } = setUp();
  const channel = open(session);
  for (let i = 0; i < 10; i++) channel.consumed(window / 10);
  await nextTurn();
  expect(frames().map(({ credit }) => credit)).toEqual([window / 2, window / 2]);
});

test("frames of a call that is over here are dropped, unless they are for the session to judge", () => {
  const { session, told } = setUp();
  const heard: unknown[] = [];
  const channel = open(session, heard);
  session.receive(message({ call: 1, data: Buffer.from("abc") }));
  channel.close();
  session.receive(
    message({ call: 1, data: Buffer.from("abc") }, { call: 1, credit: 5 }, { call: 1, end: Buffer.from("{}") }),
  );
  session.receive(message(toDrainFrame()));
  expect(heard).toEqual([3]);
  expect(told).toEqual(["idle", "end", "drain"]);
});

test("when the stream breaks every call hears it once, and nothing is sent or received any more", async () => {
  const { session, messages } = setUp();
  const told: unknown[] = [];
  const channels = [open(session, told, 1), open(session, told, 2)];
  channels[0]?.send(Buffer.from("x"));
  session.break();
  session.break();
  session.receive(message({ call: 1, data: Buffer.from("late") }));
  channels[1]?.send(Buffer.from("x"));
  await nextTurn();
  expect(told).toEqual(["broken", "broken"]);
  expect(messages).toEqual([]);
  open(session, told, 3);
  await nextTurn();
  expect(told).toEqual(["broken", "broken", "broken"]);
});

test("a call whose owner throws is reset, and the others of the same message go on", async () => {
  const { session, frames, told } = setUp();
  const heard: unknown[] = [];
  const error = new Error("fault");
  session.openChannel(1, {
    ...owner(heard),
    data() {
      throw error;
    },
  });
  open(session, heard, 2);
  session.receive(message({ call: 1, data: Buffer.from("a") }, { call: 2, data: Buffer.from("bc") }));
  await nextTurn();
  expect(heard).toEqual(["broken", 2]);
  expect(told).toEqual([error]);
  expect(frames()).toMatchObject([{ call: 1, reset: { reason: "RESET_REASON_ERROR" } }]);
});
