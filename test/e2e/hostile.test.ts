import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { afterEach, describe, expect, test } from "vitest";

import { postAgain as post, prompt } from "../support/clients.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// Input that no client sends by accident. Whatever it is, the gateway answers with an error or closes, stays small and
// goes on serving everybody else.

const upstream = await useUpstream();
const stack = await useStack({
  upstreams: [upstream],
  config: { server: { body_timeout: "6s", min_body_bytes_per_second: 65_536 } },
});
afterEach(async () => {
  upstream.clear();
  expect((await post(stack, prompt("and everybody else"))).text).toContain("echo: and everybody else");
});

interface RawCaller {
  readonly socket: Socket;
  readonly text: () => string;
  readonly closed: Promise<void>;
}

async function raw(bytes: string | Buffer): Promise<RawCaller> {
  const { hostname, port } = new URL(stack.url);
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await once(socket, "connect");
  socket.write(bytes);
  return { socket, text: () => text, closed };
}

const head = (length: number | string, more = ""): string =>
  `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${stack.key}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${more}\r\n`;

async function memoryMb(name: string): Promise<number> {
  const status = await readFile(`/proc/${stack.get(name).pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

describe("on the level of HTTP", () => {
  test.each([
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["a broken header", "POST /v1/messages HTTP/1.1\r\nhost x\r\n\r\n"],
    ["two lengths", "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n"],
    [
      "length and chunks",
      "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["headers without end", `GET / HTTP/1.1\r\nhost: x\r\n${"x: y\r\n".repeat(20_000)}`],
  ])("%s: an error, and the end", async (_name, bytes) => {
    const caller = await raw(bytes);
    await Promise.race([caller.closed, sleep(20_000)]);
    expect(caller.text()).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect(caller.text()).toContain('"type":"error"');
    expect(caller.socket.destroyed || caller.socket.readableEnded).toBe(true);
  });

  test("paths that are none", async () => {
    for (const path of [
      "/v1/models/%ff",
      "/v1/models/%00",
      "/v1/../../etc/passwd",
      "//",
      "/v1/messages/../models/x",
      "/%",
    ]) {
      const caller = await raw(
        `GET ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${stack.key}\r\nconnection: close\r\n\r\n`,
      );
      await caller.closed;
      expect(caller.text(), path).toMatch(/^HTTP\/1\.1 4\d\d/);
      expect(caller.text(), path).toContain('"type":"error"');
    }
  });

  test("a body that comes drop by drop is cut off", async () => {
    const caller = await raw(`${head(1_000_000)}{"model":`);
    const drops = setInterval(() => caller.socket.write(" "), 100);
    // At this pace it would take a day.
    await caller.closed;
    clearInterval(drops);
    expect(caller.text()).toMatch(/^HTTP\/1\.1 408/);
    expect(upstream.requests).toHaveLength(0);
  });

  test("a caller who goes in the middle of a body leaves nothing behind", async () => {
    for (let index = 0; index < 20; index++) {
      const caller = await raw(`${head(500_000)}{"model":"claude-opus-4-8","x":"${"y".repeat(100_000)}`);
      caller.socket.destroy();
    }
    expect(upstream.requests).toHaveLength(0);
  });

  test("half-closed in the headers, in the body and behind it: a 400, and the end", async () => {
    upstream.onRequest(() => {});
    const json = JSON.stringify(prompt("half-closed"));
    const streamed = JSON.stringify(prompt("half-closed", { stream: true }));
    const cases = {
      "in the headers": "POST /v1/messages HTTP/1.1\r\nhost: x\r\n",
      "in the body": head(json.length) + json.slice(0, 20),
      "in a chunked body": head(5).replace("content-length: 5", "transfer-encoding: chunked") + "5\r\n{",
      "behind the body": head(json.length) + json,
      "behind a stream's body": head(streamed.length) + streamed,
    };
    for (const [name, bytes] of Object.entries(cases)) {
      const caller = await raw(bytes);
      caller.socket.end();
      await caller.closed;
      expect(caller.text(), name).toMatch(/^HTTP\/1\.1 400 /);
      expect(caller.text(), name).toContain('"type":"invalid_request_error"');
    }
  });

  test("Expect: 100-continue is answered before the body", async () => {
    const json = JSON.stringify(prompt("expected"));
    const caller = await raw(head(json.length, "expect: 100-continue\r\n"));
    await expect.poll(caller.text).toMatch(/^HTTP\/1\.1 100/);
    caller.socket.write(json);
    await expect.poll(caller.text).toContain("echo: expected");
    caller.socket.destroy();
  });

  test("pipelined calls are answered in their order", async () => {
    const bodies = ["one", "two", "three"].map((text) => JSON.stringify(prompt(text)));
    const caller = await raw(bodies.map((body) => head(body.length) + body).join(""));
    await expect.poll(caller.text).toMatch(/echo: one[^]*echo: two[^]*echo: three/);
    caller.socket.destroy();
  });
});

describe("in the size of things", () => {
  test("four hundred strangers who announce 32 MiB each take no memory and no time", async () => {
    const before = await memoryMb("gateway");
    const strangers = await Promise.all(
      Array.from({ length: 400 }, () =>
        raw(
          `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: nobody\r\ncontent-type: application/json\r\ncontent-length: 33554432\r\n\r\n${"x".repeat(65_536)}`,
        ),
      ),
    );
    await expect.poll(() => strangers.every(({ text }) => text().includes("401"))).toBe(true);
    expect((await memoryMb("gateway")) - before).toBeLessThan(250);
    for (const { socket } of strangers) socket.destroy();
  });

  test("a hundred strangers who send 32 MiB each are told 401, and take no memory", async () => {
    const before = await memoryMb("gateway");
    let most = before;
    const chunk = Buffer.alloc(1024 * 1024, "x");
    const strangers = await Promise.all(
      Array.from({ length: 100 }, () =>
        raw("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: nobody\r\ncontent-length: 33554432\r\n\r\n"),
      ),
    );
    const watch = setInterval(() => void memoryMb("gateway").then((now) => (most = Math.max(most, now))), 50);
    await Promise.all(
      strangers.map(async ({ socket, closed }) => {
        for (let part = 0; part < 32 && !socket.destroyed; part++)
          await Promise.race([new Promise((resolve) => socket.write(chunk, resolve)), closed]);
        await closed;
      }),
    );
    clearInterval(watch);
    for (const { text } of strangers) expect(text()).toMatch(/^HTTP\/1\.1 401 /);
    // Of 3,200 that were sent.
    expect(most - before).toBeLessThan(400);
  });

  test("more than 32 MiB: a 413, announced or not", async () => {
    const announced = await raw(head(33_554_433));
    await expect.poll(announced.text).toMatch(/^HTTP\/1\.1 413 [^]*"type":"request_too_large"/);
    announced.socket.destroy();
    const chunked = await raw(head(1).replace("content-length: 1", "transfer-encoding: chunked"));
    const chunk = `100000\r\n${"x".repeat(1_048_576)}\r\n`;
    for (let part = 0; part < 33; part++) chunked.socket.write(chunk);
    await expect.poll(chunked.text).toMatch(/^HTTP\/1\.1 413 [^]*"type":"request_too_large"/);
    chunked.socket.destroy();
    expect(upstream.requests).toHaveLength(0);
  });

  test("a million tiny messages", async () => {
    const body = `{"model":"claude-opus-4-8","max_tokens":9,"messages":[${'{"role":"user","content":"x"},'.repeat(999_999)}{"role":"user","content":"x"}]}`;
    const [answer, other] = await Promise.all([
      post(stack, body),
      sleep(5).then(() => post(stack, prompt("beside it"))),
    ]);
    expect([200, 400]).toContain(answer.status);
    expect(other.text).toContain("echo: beside it");
  });

  test("thirty megabytes of nesting, of quotes, of backslashes, of unknown members", async () => {
    const inner = [
      "[".repeat(2_000_000),
      `"${'\\"'.repeat(4_000_000)}"`,
      `"${"\\\\".repeat(4_000_000)}"`,
      `{${Array.from({ length: 200_000 }, (_, index) => `"k${index}":${index}`).join(",")}}`,
    ];
    for (const value of inner) {
      const answer = await post(stack, `{"x":${value},"model":"claude-opus-4-8","max_tokens":9,"messages":[]}`);
      expect([200, 400]).toContain(answer.status);
    }
  });

  test("numbers, ids and headers without measure", async () => {
    const body = JSON.stringify(prompt("x")).replace('"max_tokens":1024', '"max_tokens":1024,"n":1e999,"m":-0.0e-999');
    expect((await post(stack, body)).status).toBe(200);
    expect(upstream.requests[0]?.body.toString()).toBe(body);
    const headers = [
      { "x-stainless-timeout": "1e99" },
      { "x-stainless-timeout": "-5" },
      { "x-sluice-max-wait": "NaN" },
      { "anthropic-beta": "b,".repeat(2000) },
      { "user-agent": "u".repeat(8000) },
    ];
    for (const header of headers)
      expect([200, 400, 431]).toContain((await post(stack, prompt("x"), { headers: header })).status);
    const model = "m".repeat(1_000_000);
    const long = await post(stack, prompt("x", { model }));
    expect([400, 404]).toContain(long.status);
    expect(long.text.length).toBeLessThan(4096);
  });

  test("names that objects have by nature are nothing special", async () => {
    for (const model of ["__proto__", "constructor", "toString"])
      expect((await post(stack, prompt("x", { model }))).status).toBe(404);
    const body = JSON.stringify(prompt("x")).replace("{", '{"__proto__":{"stream":true},"constructor":1,');
    expect((await post(stack, body)).status).toBe(200);
    expect(upstream.requests[0]?.body.toString()).toBe(body);
  });
});
