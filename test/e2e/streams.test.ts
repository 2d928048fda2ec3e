import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { bestOf } from "../support/best-of.ts";
import { get, post, prompt } from "../support/clients.ts";
import { ownTargets } from "../support/own-targets.ts";
import type { Exchange } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

// Time and back-pressure, with the clocks of the config turned down.

const upstream = await useUpstream();
const own = ownTargets(["late", "late-fail", "switch", "idle", "slow-head", "beat", "beat-fail", "flood"], upstream);
const stack = await useStack({
  upstreams: [upstream],
  config: {
    ...own,
    models: { ...own.models, "claude-opus-4-8": { routes: ["one"] } },
    server: { commit_after: "600ms", ping_after: "300ms", stream_idle: "5s", heartbeat_after: "500ms" },
    engine: { headers_timeout: "4s" },
  },
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

/** The head of an answer, its body still to be read. */
function open(body: object): Promise<Response> {
  const headers = { "x-api-key": stack.key, "content-type": "application/json" };
  return fetch(`${stack.url}/v1/messages`, { method: "POST", headers, body: JSON.stringify(body) });
}

/** All of a body; `then` is done once these words have come. */
async function readTo(body: Response["body"], words?: string, then?: () => unknown): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let isDone = false;
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (isDone || words === undefined || !text.includes(words)) continue;
    isDone = true;
    then?.();
  }
  return text;
}

/** Resolves with the next request the provider gets. */
function arrival(): Promise<Exchange> {
  return new Promise((resolve) => upstream.next((exchange) => resolve(exchange)));
}

describe("phases of a stream", () => {
  test("committed: 200 and comments while the provider is silent, then its stream as it is", async () => {
    const exchanges = arrival();
    const { status, body, headers } = await open(stream("late"));
    expect(status).toBe(200);
    const exchange = await exchanges;
    const text = await readTo(body, ": ping\n\n", () => exchange.openStream().end(begun + streamEnd()));
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
    const exchanges = arrival();
    const { status, body } = await open(stream("late-fail"));
    expect(status).toBe(200);
    const exchange = await exchanges;
    const text = await readTo(body, ": ping\n\n", () => exchange.error(400, { message: "not like this" }));
    expect(text).toMatch(/event: error\ndata: .*"type":"invalid_request_error".*not like this/);
    expect(text).not.toContain("message_stop");
  });

  test("begun: pings in silence, between events and never inside one", async () => {
    const cutInTwo = textDelta("cut in two");
    let finish = (): void => undefined;
    upstream.next(async (exchange) => {
      const response = exchange.openStream();
      response.write(begun + cutInTwo.slice(0, 20));
      await sleep(700);
      response.write(cutInTwo.slice(20));
      finish = () => void response.end(streamEnd());
    });
    const { body } = await open(stream("slow-head"));
    const text = await readTo(body, "event: ping\n", () => finish());
    const silent = text.split(/event: ping\ndata: \{"type": ?"ping"\}\n\n/);
    expect(silent.length).toBeGreaterThan(1);
    expect(silent.join("")).toBe(begun + cutInTwo + streamEnd());
    expect(text).toContain(begun + cutInTwo);
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
    const exchanges = arrival();
    const { status, body } = await open(prompt("beat", { model: "claude-beat" }));
    expect(status).toBe(200);
    (await exchanges).message("late but whole");
    const text = await readTo(body);
    expect(text).toMatch(/^ +\{/);
    expect(JSON.parse(text)).toMatchObject({ content: [{ text: "late but whole" }] });
  });

  test("that fails afterwards breaks the connection", async () => {
    const exchanges = arrival();
    const { body } = await open(prompt("beat-fail", { model: "claude-beat-fail" }));
    (await exchanges).error(400);
    await expect(readTo(body)).rejects.toThrow(/terminated|closed/);
  });
});

describe("callers who leave", () => {
  /** How long it takes until the provider is let go. */
  async function leave(name: string, phase: "open" | "begun" | "queued"): Promise<number> {
    const exchanges = arrival();
    const caller = await openSocket(prompt(name, { stream: phase !== "queued" }));
    const exchange = await exchanges;
    if (phase === "begun") {
      exchange.openStream().write(begun);
      await expect.poll(caller.received).toBeGreaterThan(200);
    }
    const left = performance.now();
    caller.socket.destroy();
    expect(await exchange.request.closed).toBe(false);
    return performance.now() - left;
  }

  test.each(["open", "begun"] as const)("a stream is let go at the provider within a second: %s", async (phase) => {
    expect(await bestOf(3, (round) => leave(`leaving ${phase} ${round}`, phase), 1000)).toBeLessThan(1000);
  });

  test("a queued call is let go within three seconds after the five in which a retry may join it", async () => {
    const tookMs = await bestOf(3, (round) => leave(`leaving the queue ${round}`, "queued"), 8000);
    expect(tookMs).toBeGreaterThan(4900);
    expect(tookMs).toBeLessThan(8000);
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
      { interval: 300 },
    )
    .toBe(true);
  // What lies in sockets and credit between; the rest waits at the provider.
  expect(written).toBeLessThan(32 * 1024 * 1024);
  for (const streamed of [true, false])
    expect((await post(stack, prompt("quick", { stream: streamed }))).text).toContain("echo: quick");
  await expect.poll(() => stalled).toBe(true);
  stop = true;
  caller.socket.resume();
  await expect.poll(() => stalled).toBe(false);
  await expect.poll(() => caller.received() >= written).toBe(true);
  caller.socket.destroy();
});
