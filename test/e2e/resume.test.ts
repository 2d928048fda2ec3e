import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { get, prompt } from "../support/clients.ts";
import { cutEvents, readStream, withoutComments, withoutIds } from "../support/event-streams.ts";
import type { Exchange } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

// Streams whose caller, and whose gateway, goes away.

const upstream = await useUpstream();
const stack = await useStack({ upstreams: [upstream], gateways: 2, config: { events: { lease: "3s" } } });
const { other } = stack;

const first = messageStart("m", "msg_1") + blockStart() + textDelta("first");

interface Left {
  readonly id: string;
  readonly exchange: Exchange;
}

/** A detached stream at the first gateway, left by its caller after three events, its provider still busy. */
async function leaveStream(name: string): Promise<Left> {
  const exchanges = new Promise<Exchange>((resolve) => upstream.next((exchange) => resolve(exchange)));
  const answering = fetch(`${stack.url}/v1/messages`, {
    method: "POST",
    headers: { "x-api-key": stack.key, "x-sluice-on-disconnect": "detach" },
    body: JSON.stringify(prompt(name, { stream: true })),
  });
  const exchange = await exchanges;
  exchange.openStream().write(first);
  const response = await answering;
  expect(response.headers.get("x-sluice-detach")).toBe("on");
  await readStream(response, (text) => cutEvents(withoutComments(text)).length >= 3);
  return { id: response.headers.get("x-sluice-request-id") ?? "", exchange };
}

describe("a detached stream", () => {
  test("goes on at its provider, is read on at the other gateway, and leaves its trace", async () => {
    const { id, exchange } = await leaveStream("goes on");
    const following = get(other, `/v1/jobs/${id}/events`, { "last-event-id": "2" });
    exchange.response.end(streamEnd());
    const { text } = await following;
    expect(cutEvents(text)[0]?.id).toBe(3);
    expect(withoutIds(text)).toBe(textDelta("first") + streamEnd());
    await expect
      .poll(async () => (await get(stack, `/v1/requests/${id}`)).json)
      .toMatchObject({ code: "ok", usage: { output_tokens: 7 } });
    expect(await exchange.request.closed).toBe(true);
  });

  test("of a gateway that is told to stop comes to its end", async () => {
    const { id, exchange } = await leaveStream("stop");
    const gateway = stack.get("gateway-1");
    gateway.signal("SIGTERM");
    await expect
      .poll(() =>
        get(stack, "/livez").then(
          () => "open",
          () => "closed",
        ),
      )
      .toBe("closed");
    exchange.response.end(streamEnd());
    expect(await gateway.exit).toMatchObject({ code: 0 });
    const { text } = await get(other, `/v1/jobs/${id}/events`);
    expect(withoutIds(text)).toBe(first + streamEnd());
  });

  test("of a gateway that is killed is readable as far as it came, and ends with an error event", async () => {
    const { id, exchange } = await leaveStream("kill");
    const response = await fetch(`${other.url}/v1/jobs/${id}/events`, { headers: { "x-api-key": stack.key } });
    await stack.get("gateway-1").kill("SIGKILL");
    const { text } = await readStream(response);
    const events = cutEvents(withoutComments(text));
    expect(
      withoutIds(
        events
          .slice(0, 3)
          .map(({ text }) => text)
          .join(""),
      ),
    ).toBe(first);
    expect(events[3]).toMatchObject({ id: undefined, text: expect.stringContaining("event: error\n") as unknown });
    expect(await exchange.request.closed).toBe(false);
    const again = await get(other, `/v1/jobs/${id}/events`);
    expect(
      withoutComments(again.text).startsWith(
        events
          .slice(0, 3)
          .map(({ text }) => text)
          .join(""),
      ),
    ).toBe(true);
  });
});

test("the trace of a stream whose caller left has the usage so far", async () => {
  const exchanges = new Promise<Exchange>((resolve) => upstream.next((exchange) => resolve(exchange)));
  const answering = fetch(`${stack.url}/v1/messages`, {
    method: "POST",
    headers: { "x-api-key": stack.key },
    body: JSON.stringify(prompt("leaves", { stream: true })),
  });
  const exchange = await exchanges;
  exchange.openStream().write(first);
  const response = await answering;
  await readStream(response, (text) => cutEvents(withoutComments(text)).length >= 3);
  expect(await exchange.request.closed).toBe(false);
  const id = response.headers.get("x-sluice-request-id") ?? "";
  await expect
    .poll(async () => (await get(stack, `/v1/requests/${id}`)).json)
    .toMatchObject({
      status: 499,
      code: "cancelled",
      provider: "one",
      usage: { input_tokens: 12, output_tokens: 1 },
      attempts: [{ provider: "one", status: 200, reason: "cancelled" }],
    });
});

test("what docs/resume.md says to type works as it stands there", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-resume-"));
  try {
    const text = await readFile(join(import.meta.dirname, "../../docs/resume.md"), "utf8");
    const commands = [...text.matchAll(/```sh\n([^]*?)```/g)].map(([, command = ""]) => command);
    expect(commands.length).toBeGreaterThanOrEqual(2);
    upstream.onRequest((exchange) => exchange.stream("an answer of a few words, in more than one event"));
    const script = commands.join("\n").replaceAll("http://127.0.0.1:8080", stack.url).replaceAll(".sluice/key", "key");
    await writeFile(join(folder, "key"), stack.key);
    await writeFile(join(folder, "script.sh"), `set -e\n${script}\n`);
    const { stdout } = await promisify(execFile)("bash", ["script.sh"], { cwd: folder });
    expect(stdout).toContain("event: message_stop");
    expect(await readFile(join(folder, "answer.sse"), "utf8")).toMatch(/^id: 1\nevent: message_start\n/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
