import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { get, post, prompt } from "../support/clients.ts";
import { ownTargets } from "../support/own-targets.ts";
import { startStack, type Stack } from "../support/stack.ts";
import { startUpstream, type Exchange, type Upstream } from "../support/upstream.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

// Time and back-pressure, with the clocks of the config turned down.

let upstream: Upstream;
let stack: Stack;

beforeAll(async () => {
  upstream = await startUpstream();
  const own = ownTargets(["late", "late-fail", "switch", "idle", "slow-head", "beat", "beat-fail", "flood"], upstream);
  stack = await startStack({
    upstreams: [upstream],
    config: {
      ...own,
      models: { ...own.models, "claude-opus-4-8": { routes: ["one"] } },
      server: { commit_after: "600ms", ping_after: "300ms", stream_idle: "1500ms", heartbeat_after: "500ms" },
      engine: { headers_timeout: "1200ms" },
    },
  });
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => void process.stderr.write(`${stack.log().slice(-4000)}\n`));
});
afterEach(() => upstream.clear());
afterAll(async () => {
  await stack?.stop();
  await upstream?.close();
});

const begun = messageStart() + blockStart() + textDelta("first");
const stream = (name: string): Record<string, unknown> => prompt(name, { model: `claude-${name}`, stream: true });

/** A caller on the level of the socket: sends a call, and reads only when it is told to. */
async function openSocket(body: object): Promise<{ socket: Socket; received: () => number; text: () => string }> {
  const { hostname, port } = new URL(stack.url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes < 1_000_000) chunks.push(chunk);
  });
  socket.on("error", () => {});
  await once(socket, "connect");
  const json = JSON.stringify(body);
  socket.write(
    `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${stack.key}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
  );
  return { socket, received: () => bytes, text: () => Buffer.concat(chunks).toString() };
}

/** Resolves with the next request the provider gets. */
function arrival(): Promise<Exchange> {
  return new Promise((resolve) => upstream.next((exchange) => resolve(exchange)));
}

describe("phases of a stream", () => {
  test("committed: 200 and comments while the provider is silent, then its stream as it is", async () => {
    const exchanges = arrival();
    const started = performance.now();
    const answer = post(stack, stream("late"));
    const exchange = await exchanges;
    await sleep(1000);
    exchange.openStream().end(begun + streamEnd());
    const { status, text, headers } = await answer;
    expect(status).toBe(200);
    expect(performance.now() - started).toBeGreaterThan(990);
    expect(text.replaceAll(/: ping\n\n/g, "")).toBe(begun + streamEnd());
    expect(text.startsWith(": ping\n\n")).toBe(true);
    expect(headers.get("request-id")).toMatch(/^call_/);
  });

  test("committed: a provider without a status in time is left for the next", async () => {
    upstream.next(() => {});
    const { text, status } = await post(stack, stream("switch"));
    expect(status).toBe(200);
    expect(text).toContain("echo: switch");
    expect(upstream.requests).toHaveLength(2);
    expect(await upstream.requests[0]?.closed).toBe(false);
  });

  test("committed: the last failure is an error event", async () => {
    upstream.onRequest(async (exchange) => {
      await sleep(1000);
      exchange.error(400, { message: "not like this" });
    });
    const { status, text } = await post(stack, stream("late-fail"));
    expect(status).toBe(200);
    expect(text).toMatch(/event: error\ndata: .*"type":"invalid_request_error".*not like this/);
    expect(text).not.toContain("message_stop");
  });

  test("begun: pings in silence, between events and never inside one", async () => {
    upstream.next(async (exchange) => {
      const response = exchange.openStream();
      response.write(begun + textDelta("cut in two").slice(0, 20));
      await sleep(700);
      response.write(textDelta("cut in two").slice(20));
      await sleep(700);
      response.end(streamEnd());
    });
    const { text } = await post(stack, stream("slow-head"));
    const ping = 'event: ping\ndata: {"type": "ping"}\n\n';
    const quiet = text.replaceAll(/event: ping\ndata: \{"type": ?"ping"\}\n\n/g, "");
    expect(quiet).toBe(begun + textDelta("cut in two") + streamEnd());
    const pings = (text.length - quiet.length) / ping.length;
    expect(pings).toBeGreaterThan(0.9);
    expect(pings).toBeLessThan(4);
  });

  test("begun: silence for too long ends in an error event, and the provider is let go", async () => {
    upstream.next((exchange) => void exchange.openStream().write(begun));
    const { text } = await post(stack, stream("idle"));
    expect(text).toMatch(/event: error\ndata: \{"type":"error","error":\{"type":"(timeout_error|api_error)"/);
    expect(await upstream.requests[0]?.closed).toBe(false);
  });
});

describe("a whole answer that takes long", () => {
  test("gets its 200 and spaces, then the JSON", async () => {
    upstream.next(async (exchange) => {
      await sleep(1000);
      exchange.message("late but whole");
    });
    const { status, text, json } = await post(stack, prompt("beat", { model: "claude-beat" }));
    expect(status).toBe(200);
    expect(text).toMatch(/^ +\{/);
    expect(json).toMatchObject({ content: [{ text: "late but whole" }] });
  });

  test("that fails afterwards breaks the connection", async () => {
    upstream.onRequest(async (exchange) => {
      await sleep(1000);
      exchange.error(400);
    });
    await expect(post(stack, prompt("beat-fail", { model: "claude-beat-fail" }))).rejects.toThrow(/terminated|closed/);
  });
});

describe("callers who leave", () => {
  test("a stream is let go at the provider within a second", async () => {
    for (const phase of ["open", "begun"]) {
      const exchanges = arrival();
      const caller = await openSocket(prompt(`leaving ${phase}`, { stream: true }));
      const exchange = await exchanges;
      if (phase === "begun") {
        exchange.openStream().write(begun);
        await expect.poll(caller.received).toBeGreaterThan(200);
      }
      const left = performance.now();
      caller.socket.destroy();
      expect(await exchange.request.closed).toBe(false);
      expect(performance.now() - left).toBeLessThan(1000);
    }
  });

  test("a queued call is let go within three seconds after the five in which a retry may join it", async () => {
    const exchanges = arrival();
    const caller = await openSocket(prompt("leaving the queue"));
    const exchange = await exchanges;
    const left = performance.now();
    caller.socket.destroy();
    expect(await exchange.request.closed).toBe(false);
    expect(performance.now() - left).toBeGreaterThan(4900);
    expect(performance.now() - left).toBeLessThan(8000);
  });

  test.each([false, true])("one who ends its side only is told a 400 and let go, stream: %s", async (isStream) => {
    const exchanges = arrival();
    const caller = await openSocket(prompt(`half-closed ${isStream}`, { stream: isStream }));
    const exchange = await exchanges;
    caller.socket.end();
    await expect.poll(() => caller.socket.destroyed).toBe(true);
    expect(caller.text()).toMatch(/^HTTP\/1\.1 400 [^]*closed for writing/);
    expect(await exchange.request.closed).toBe(false);
    const id = /x-sluice-request-id: (\S+)/.exec(caller.text())?.[1] ?? "";
    await expect
      .poll(async () => (await get(stack, `/v1/requests/${id}`)).json)
      .toMatchObject({ status: 499, code: "cancelled" });
  });
});

test("a slow reader stops its own provider and nobody else's", async () => {
  const delta = textDelta("x".repeat(4000));
  let written = 0;
  let stalled = false;
  let stop = false;
  upstream.next(async (exchange) => {
    const response = exchange.openStream();
    response.write(begun);
    while (!stop && !response.destroyed) {
      written += delta.length;
      if (response.write(delta)) continue;
      stalled = true;
      await Promise.race([once(response, "drain"), once(response, "close")]);
      stalled = false;
    }
    response.end(streamEnd());
  });
  const caller = await openSocket(prompt("slow reader", { stream: true }));
  caller.socket.pause();
  let before = -1;
  await expect
    .poll(
      () => {
        const still = stalled && written === before;
        before = written;
        return still;
      },
      { timeout: 10_000, interval: 300 },
    )
    .toBe(true);
  // What lies in sockets and credit between; the rest waits at the provider.
  expect(written).toBeLessThan(32 * 1024 * 1024);
  for (const streamed of [true, false])
    expect((await post(stack, prompt("quick", { stream: streamed }))).text).toContain("echo: quick");
  expect(stalled).toBe(true);
  stop = true;
  caller.socket.resume();
  await expect.poll(() => stalled, { timeout: 5000 }).toBe(false);
  await expect.poll(() => caller.received() >= written, { timeout: 10_000 }).toBe(true);
  caller.socket.destroy();
});
