import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Frame, Frame__Output } from "#proto/worker/v1/Frame.ts";
import { sampleHead } from "../../test/support/store-bed.ts";
import { createCallBook } from "./call-book.ts";
import { toAttachFrame, toOpenFrame, toResetFrame } from "./frames.ts";
import { ServerSession } from "./server-session.ts";
import { Session } from "./session.ts";
import { workerProto } from "./worker-proto.ts";

function setUp() {
  const opened: string[] = [];
  const faults: unknown[] = [];
  const messages: Buffer[] = [];
  const book = createCallBook();
  const session = new Session(
    { write: (message) => messages.push(message) > 0 },
    {
      frame: (frame) => calls.frame(frame),
      idle: () => undefined,
      fault: (error) => faults.push(error),
    },
    1000,
  );
  session.sendWindow = 1000;
  const calls = new ServerSession(session, {
    book,
    orphanMs: 1000,
    onFault: (error) => faults.push(error),
    handler: {
      invoke(call) {
        opened.push(call.head.id);
        return new Promise(() => undefined);
      },
      stream: () => Promise.resolve(),
    },
  });
  const receive = (...frames: Frame[]): void =>
    session.receive(workerProto().types.SessionRequest.serialize({ frames }));
  const sent = async (): Promise<Frame__Output[]> => {
    await nextTurn();
    return messages.flatMap((message) => workerProto().types.SessionResponse.deserialize(message).frames);
  };
  return { book, calls, opened, faults, receive, sent };
}

function openFrame(number: number, id = `call_${number}`, body = Buffer.alloc(0)): Frame {
  return toOpenFrame(number, { head: sampleHead(id), body: { bytes: body }, delivery: 1 }, true);
}

test("a cancel that comes before its open keeps the call from being opened", () => {
  const { opened, receive } = setUp();
  receive(openFrame(1), toResetFrame(3, "cancelled"), openFrame(2), openFrame(3), openFrame(4));
  expect(opened).toEqual(["call_1", "call_2", "call_4"]);
});

test("tombstones are bounded: the oldest goes first", () => {
  const { opened, receive } = setUp();
  const numbers = Array.from({ length: 1100 }, (_, i) => 100 + i);
  receive(...numbers.map((number) => toResetFrame(number, "cancelled")));
  receive(openFrame(100), openFrame(175), openFrame(176), openFrame(1199));
  expect(opened).toEqual(["call_100", "call_175"]);
});

test("a late cancel of a call that is over leaves no tombstone, across the wrap of call numbers too", () => {
  const { opened, receive } = setUp();
  receive(openFrame(0xffffffff), toResetFrame(0xffffffff, "cancelled"));
  receive(toResetFrame(0xffffffff, "cancelled"), openFrame(1, "call_after"), toResetFrame(0xfffffff0, "cancelled"));
  receive(openFrame(2, "call_next"));
  expect(opened).toEqual(["call_4294967295", "call_after", "call_next"]);
});

test("a draining worker refuses an open, and answers attach as before", async () => {
  const { calls, receive, sent } = setUp();
  receive(openFrame(1, "call_mine"));
  calls.drain();
  receive(openFrame(2), toAttachFrame(3, "call_mine", 2), toAttachFrame(4, "call_other", 2));
  expect(await sent()).toMatchObject([
    { drain: {} },
    { call: 2, reset: { reason: "RESET_REASON_REFUSED", asked: false } },
    { call: 3, held: { held: true } },
    { call: 1, reset: { reason: "RESET_REASON_SUPERSEDED" } },
    { call: 4, held: { held: false } },
  ]);
});

test("a call whose body is still arriving counts as running, and ends without a trace when it is cancelled", () => {
  const { book, opened, receive } = setUp();
  receive(openFrame(1, "call_1", Buffer.alloc(10)), { call: 1, data: Buffer.alloc(9) });
  expect(book.running).toBe(1);
  receive(toResetFrame(1, "cancelled"), { call: 1, data: Buffer.alloc(1) });
  expect([book.running, opened]).toEqual([0, []]);
});

test("more body than announced, and a head that is no JSON, reset that call alone", async () => {
  const { book, faults, opened, receive, sent } = setUp();
  receive(openFrame(1, "call_1", Buffer.alloc(10)), { call: 1, data: Buffer.alloc(11) });
  receive({ call: 2, open: { callId: "call_2", delivery: 1, head: Buffer.from("{"), bodyLength: 0 } });
  receive(openFrame(3));
  expect(opened).toEqual(["call_3"]);
  expect(faults).toHaveLength(2);
  expect(book.running).toBe(1);
  expect(await sent()).toMatchObject([
    { call: 1, reset: { reason: "RESET_REASON_ERROR" } },
    { call: 2, reset: { reason: "RESET_REASON_ERROR" } },
  ]);
});

test("the load report counts the calls of other sessions, and comes only when it has changed", async () => {
  const { book, calls, receive, sent } = setUp();
  receive(openFrame(1));
  calls.reportLoad(book.running);
  calls.reportLoad(book.running + 4);
  calls.reportLoad(book.running + 4);
  expect(await sent()).toMatchObject([{ load: 4 }]);
});
