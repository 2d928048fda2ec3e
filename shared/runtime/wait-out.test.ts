import { once } from "node:events";
import { createServer, connect, type AddressInfo } from "node:net";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { waitOut } from "./wait-out.ts";

/** This process, the one that waits, stands still. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Answers each byte with one, from a thread of its own that goes on while this one stands still. */
async function startEcho(afterMs: number): Promise<{ port: number; close(): Promise<unknown> }> {
  const server = `
    const { parentPort } = require("node:worker_threads");
    const server = require("node:net").createServer((socket) =>
      socket.on("data", () => setTimeout(() => socket.write("a"), ${afterMs})),
    );
    server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
  `;
  const thread = new Worker(server, { eval: true });
  const [port] = (await once(thread, "message")) as [number];
  return { port, close: () => thread.terminate() };
}

/** What comes of asking: an answer, or the end of the patience with it. */
async function ask(port: number, ms: number, meanwhile: () => void): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return new Promise((resolve) => {
    const stop = waitOut(ms, () => end("nothing"));
    const end = (what: string): void => {
      stop();
      socket.destroy();
      resolve(what);
    };
    socket.once("data", () => end("answer"));
    socket.write("?");
    meanwhile();
  });
}

test("what never answers is given up", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  expect(await ask((server.address() as AddressInfo).port, 20, () => undefined)).toBe("nothing");
  server.close();
});

test.each([0, 400])(
  "what answers after %i ms is heard by a process that stood still for longer than it waits",
  async (afterMs) => {
    const echo = await startEcho(afterMs);
    expect(await ask(echo.port, 20_000, () => undefined)).toBe("answer");
    expect(await ask(echo.port, 300, () => standStill(350))).toBe("answer");
    await echo.close();
  },
);

test("what is stopped does not run, however late", async () => {
  let runs = 0;
  const stop = waitOut(1, () => (runs += 1));
  standStill(50);
  await new Promise((resolve) => setTimeout(resolve, 0));
  stop();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(runs).toBe(0);
});
