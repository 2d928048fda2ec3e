import { hash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { afterAll, expect, inject, test } from "vitest";
import { connectRedis } from "#shared/store/connect-redis.ts";
import { createClaimStore } from "#shared/store/claim-store.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { printOf } from "../../services/gateway/call/ask-print.ts";
import { eventually } from "../support/eventually.ts";
import { ask, bedKeys, startGatewayBed } from "../support/gateway-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";

// What a gateway does with the bodies of batches, good and bad; nobody feeds them here.

const path = "/v1/messages/batches";
const bed = await useGatewayBed({
  config: {
    batches: { max_body_bytes: "4MiB", max_requests: 200, max_open_items: 300 },
    server: { max_body_bytes: "1MiB" },
  },
});
const redis = connectRedis(inject("redisUrl"), "command", {
  logger: createLogger({ name: "test", level: "silent" }),
  commandTimeoutMs: 20_000,
});
await redis.ready();
afterAll(() => redis.close());

const item = (id: string, params: object = ask()): object => ({ custom_id: id, params });
const items = (count: number): object[] => Array.from({ length: count }, (_, at) => item(`i${at}`));

async function names(pattern = "batch"): Promise<string[]> {
  const found = await redis.client.keys(`{${bed.config.redis.prefix}}:*${pattern}*`);
  return found.toSorted();
}

/** Whatever `act` does, no key of any kind is left of it. */
async function leavesNothing(act: () => Promise<void>): Promise<void> {
  const before = await names("");
  await act();
  await eventually(async () => expect(await names("")).toEqual(before));
}

async function refused(
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; error: { type: string; message: string } }> {
  const response = await bed.post(path, body, headers);
  const json = (await response.json()) as { error: { type: string; message: string }; request_id: string };
  expect(json).toMatchObject({ type: "error", request_id: response.headers.get("request-id") });
  return { status: response.status, error: json.error };
}

test.each([
  [
    "a custom_id twice",
    { requests: [...items(150), item("i3")] },
    'requests.150.custom_id: "i3" is that of requests.3',
  ],
  ["an illegal custom_id", { requests: [...items(70), item("a b")] }, "requests.70.custom_id: String should match"],
  ["a missing custom_id", { requests: [{ params: ask() }] }, "requests.0.custom_id: Field required"],
  ["missing params", { requests: [{ custom_id: "a" }] }, "requests.0.params: Field required"],
  ["no requests", {}, "requests: Field required"],
  ["an empty list", { requests: [] }, "requests: List should have at least 1 item"],
  ["too many requests", { requests: items(201) }, "requests: List should have at most 200 items"],
  ["a body that is cut", JSON.stringify({ requests: items(100) }).slice(0, -20), "it ends too early"],
  ["garbage behind the body", `${JSON.stringify({ requests: items(100) })}]`, "unexpected character"],
  ["no body", "", "The request body is empty."],
])("%s is a 400, and nothing is left behind", async (_, body, message) => {
  await leavesNothing(async () => {
    const { status, error } = await refused(body);
    expect(status).toBe(400);
    expect(error.type).toBe("invalid_request_error");
    expect(error.message).toContain(message);
  });
});

test("a body that is declared too large is a 413 unread, one that turns out too large a 413 in the middle", async () => {
  await leavesNothing(async () => {
    const declared = await new Promise<string>((resolve, reject) => {
      const socket = connect(bed.gateway.port, "127.0.0.1", () => {
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: 314572800\r\n\r\n`,
        );
      });
      socket.once("data", (data) => {
        socket.destroy();
        resolve(data.toString());
      });
      socket.once("error", reject);
    });
    expect(declared).toMatch(/^HTTP\/1.1 413 /);
    expect(declared).toContain("request_too_large");

    const chunk = JSON.stringify(item("x", ask({ system: "y".repeat(100_000) })));
    const pieces = ['{"requests":[', ...Array.from({ length: 60 }, (_, at) => `${chunk.replace('"x"', `"x${at}"`)},`)];
    const response = await fetch(`${bed.url}${path}`, {
      method: "POST",
      headers: { "x-api-key": bedKeys.key },
      body: Readable.toWeb(Readable.from(pieces.map((piece) => Buffer.from(piece)))) as ReadableStream,
      duplex: "half",
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { type: "request_too_large" } });
  });
});

test("a request larger than a call may be is a 413 that names it", async () => {
  await leavesNothing(async () => {
    const { status, error } = await refused({
      requests: [item("a"), item("b", ask({ system: "x".repeat(1_100_000) }))],
    });
    expect(status).toBe(413);
    expect(error.message).toContain("requests.1: ");
  });
});

test("a caller that leaves halfway leaves nothing behind", async () => {
  await leavesNothing(async () => {
    const before = await names();
    const body = JSON.stringify({
      requests: items(200).map((one) => ({ ...one, params: ask({ system: randomBytes(4000).toString("hex") }) })),
    });
    const socket = connect(bed.gateway.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.slice(0, body.length / 2));
    await eventually(async () => expect((await names()).length).toBeGreaterThan(before.length));
    socket.destroy();
  });
});

test("a body that stops halfway is a 408, and nothing is left behind", async () => {
  await using impatient = await startGatewayBed({ dispatcher: false, config: { server: { body_timeout: "1500ms" } } });
  const body = JSON.stringify({ requests: items(100) });
  // Redis tells keys in the order of its table, which changes as that grows.
  const keysOf = async (name: string) =>
    (await redis.client.keys(`{${impatient.config.redis.prefix}}:*${name}*`)).toSorted();
  const before = await keysOf("");
  const socket = connect(impatient.gateway.port, "127.0.0.1");
  const answer = new Promise<string>((resolve, reject) => {
    socket.once("error", reject).once("data", (data) => resolve(data.toString()));
  });
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.slice(0, -100));
  await eventually(async () => expect(await keysOf("batch-index")).toHaveLength(1));
  expect(await answer).toMatch(/^HTTP\/1.1 408 [^]*"timeout_error"/);
  socket.destroy();
  await eventually(async () => expect(await keysOf("")).toEqual(before));
});

test("what is stored of a batch that is not made yet goes by itself", async () => {
  const socket = connect(bed.gateway.port, "127.0.0.1");
  socket.on("error", () => undefined);
  const body = JSON.stringify({ requests: items(100) });
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.slice(0, -5));
  await eventually(async () => expect((await names("batch-index")).length).toBe(1));
  for (const name of await names("batch-")) {
    const ttl = await redis.client.pttl(name);
    expect(ttl, name).toBeGreaterThan(0);
    expect(ttl, name).toBeLessThanOrEqual(120_000);
  }
  socket.destroy();
  await eventually(async () => expect(await names("batch-index")).toEqual([]));
});

test("a key with too many open requests is told so by a 429, and everything it has has a time to live", async () => {
  const first = await bed.post(path, { requests: items(150) });
  expect(first.status).toBe(200);
  const created = (await first.json()) as { id: string };
  expect((await bed.post(path, { requests: items(150) })).status).toBe(200);
  const { status, error } = await refused({ requests: items(1) });
  expect(status).toBe(429);
  expect(error).toMatchObject({ type: "rate_limit_error", message: expect.stringContaining("300") });
  expect((await bed.post(path, { requests: items(1) }, { "x-api-key": bedKeys.otherKey })).status).toBe(200);
  const all = await redis.client.keys(`{${bed.config.redis.prefix}}:*${created.id}*`);
  expect(all.length).toBeGreaterThanOrEqual(3);
  for (const name of [...(await names()), ...(await names("open-items"))])
    expect(await redis.client.pttl(name), name).toBeGreaterThan(0);
});

test("under an idempotency key a batch is made once, whoever asks again, also at the same time", async () => {
  const body = { requests: items(10) };
  const create = async (key: string, more: object = body, headers: Record<string, string> = {}) => {
    const response = await bed.post(path, more, {
      "x-api-key": bedKeys.otherKey,
      "idempotency-key": key,
      ...headers,
    });
    return { status: response.status, json: (await response.json()) as { id?: string; error?: { type: string } } };
  };
  const [first, ...others] = await Promise.all([create("one"), create("one"), create("one"), create("one")]);
  expect(first).toMatchObject({
    status: 200,
    json: { id: expect.stringMatching(/^msgbatch_/), type: "message_batch" },
  });
  const before = await names();
  for (const other of others) expect(other.json.id).toBe(first?.json.id);
  expect((await create("one")).json.id).toBe(first?.json.id);
  await eventually(async () => expect((await names("batch-bodies")).length).toBe((await names("batch-index")).length));
  expect(await names()).toEqual(before);

  for (const again of [
    await create("one", { requests: items(11) }),
    await create("one", body, { "anthropic-beta": "another-1" }),
  ])
    expect(again).toMatchObject({ status: 422, json: { error: { type: "invalid_request_error" } } });
  const asCall = await bed.post("/v1/messages", ask(), { "x-api-key": bedKeys.otherKey, "idempotency-key": "one" });
  expect(asCall.status).toBe(422);
  expect(await names()).toEqual(before);
  expect((await create("two")).json.id).not.toBe(first?.json.id);
  await leavesNothing(async () => {
    const longKey = await create("x".repeat(10_240));
    expect(longKey).toMatchObject({ status: 400, json: { error: { type: "invalid_request_error" } } });
  });
});

test("what came of a refused create does not bind its idempotency key", async () => {
  const headers = { "x-api-key": bedKeys.otherKey, "idempotency-key": "refused" };
  expect((await bed.post(path, { requests: [...items(2), item("i0")] }, headers)).status).toBe(400);
  expect((await bed.post(path, { requests: items(2) }, headers)).status).toBe(200);
});

test("an idempotency key whose gateway died before its batch was made is free for the next", async () => {
  const claims = createClaimStore({ redis, prefix: bed.config.redis.prefix });
  const body = Buffer.from(JSON.stringify({ requests: items(3) }));
  const print = printOf(
    { keyId: "key:other", operation: "batches", headers: { "anthropic-version": "2023-06-01" } },
    hash("sha256", body, "base64url"),
  );
  const call = { id: "msgbatch_lost", lane: "background", deadlineAt: Date.now() + 60_000, channel: "" } as const;
  await claims.claim({ keyId: "key:other", idempotencyKey: "died" }, { kind: "batch", print, call });
  const response = await bed.post(path, body.toString(), {
    "x-api-key": bedKeys.otherKey,
    "idempotency-key": "died",
  });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ id: expect.not.stringContaining("lost") });
});

test("bodies lie in Redis compressed", async () => {
  const system = "the same words over and over. ".repeat(1000);
  const response = await bed.post(path, { requests: [item("z", ask({ system }))] }, { "x-api-key": bedKeys.opusKey });
  const { id } = (await response.json()) as { id: string };
  const stored = await redis.client.hgetBuffer(`{${bed.config.redis.prefix}}:batch-bodies:${id}`, "0");
  expect(stored?.length).toBeLessThan(system.length / 20);
  expect(await redis.client.hlen(`{${bed.config.redis.prefix}}:batch-index:${id}`)).toBe(1);
});

test("results are gone when their time is up; the batch stays, archived", async () => {
  await using brief = await startGatewayBed({ dispatcher: false, config: { batches: { keep_results: "2s" } } });
  const created = await brief.post(path, { requests: [item("bad", ask({ stream: true }))] });
  const { id } = (await created.json()) as { id: string };
  const read = async (more = ""): Promise<Response> =>
    fetch(`${brief.url}${path}/${id}${more}`, { headers: { "x-api-key": bedKeys.key } });
  expect((await read("/results")).status).toBe(200);
  await eventually(async () => expect((await read("/results")).status).toBe(404));
  expect(await (await read()).json()).toMatchObject({
    processing_status: "ended",
    request_counts: { errored: 1 },
    archived_at: expect.any(String),
    results_url: null,
  });
});

test("a key's models and its own limits hold for batches", async () => {
  const response = await bed.post(
    path,
    { requests: [item("a", ask({ model: "claude-haiku-4-5" }))] },
    { "x-api-key": bedKeys.opusKey },
  );
  const { id } = (await response.json()) as { id: string };
  const results = await fetch(`${bed.url}${path}/${id}/results`, { headers: { "x-api-key": bedKeys.opusKey } });
  expect(results.headers.get("content-type")).toBe("application/x-jsonl");
  expect(await results.json()).toMatchObject({
    custom_id: "a",
    result: { error: { error: { type: "permission_error" } } },
  });
  const slow = { "x-api-key": bedKeys.slowKey };
  const statuses = [];
  for (let at = 0; at < 3; at++) statuses.push((await bed.post(path, { requests: items(1) }, slow)).status);
  expect(statuses).toEqual([200, 200, 429]);
});

test("under the Claude-only prefixes an item with another model is an error", async () => {
  const response = await bed.post(
    `/anthropic${path}`,
    { requests: [item("a", ask({ model: "other-1" }))] },
    { "x-api-key": bedKeys.otherKey },
  );
  const { id } = (await response.json()) as { id: string };
  const results = await fetch(`${bed.url}${path}/${id}/results`, { headers: { "x-api-key": bedKeys.otherKey } });
  expect(await results.json()).toMatchObject({ result: { error: { error: { type: "invalid_request_error" } } } });
});

test.each([
  ["GET", `${path}/msgbatch_nobody`, 404],
  ["POST", `${path}/msgbatch_nobody/cancel`, 404],
  ["DELETE", `${path}/msgbatch_nobody`, 404],
  ["GET", `${path}/msgbatch_nobody/results`, 404],
  ["PUT", path, 405],
  ["POST", `${path}/msgbatch_nobody/results`, 405],
])("%s %s is a %i", async (method, url, status) => {
  const response = await fetch(bed.url + url, { method, headers: { "x-api-key": bedKeys.key } });
  expect(response.status).toBe(status);
  expect(await response.json()).toMatchObject({ type: "error" });
  expect((await fetch(bed.url + url, { method })).status).toBe(401);
});

test("a batch that would take Redis over 70 % of its memory is refused with 529, and its items are taken back", async () => {
  await using small = await startRedis({ maxMemory: "16mb" });
  await using full = await startGatewayBed({ redisUrl: small.url, dispatcher: false });
  const requests = Array.from({ length: 1500 }, (_, at) =>
    item(`i${at}`, ask({ system: randomBytes(10_000).toString("hex") })),
  );
  const response = await full.post(path, { requests });
  expect(response.status).toBe(529);
  expect(response.headers.get("retry-after")).not.toBeNull();
  expect(await response.json()).toMatchObject({ error: { type: "overloaded_error" } });
  const looking = connectRedis(small.url, "command", { logger: createLogger({ name: "test", level: "silent" }) });
  await looking.ready();
  const used = Number(/used_memory:(\d+)/.exec(await looking.client.info("memory"))?.[1]);
  expect(used).toBeLessThan(0.7 * 16 * 2 ** 20);
  await eventually(async () => expect(await looking.client.keys("*batch*")).toEqual([]));
  await looking.close();
  expect((await full.post(path, { requests: items(3) })).status).toBe(200);
});

test("without Redis a batch is answered 529", async () => {
  await using own = await startRedis();
  await using lone = await startGatewayBed({ redisUrl: own.url, dispatcher: false });
  await own.kill();
  await eventually(async () => expect((await lone.post(path, { requests: items(1) })).status).toBe(529));
  const list = await fetch(`${lone.url}${path}`, { headers: { "x-api-key": bedKeys.key } });
  expect(list.status).toBe(529);
});
