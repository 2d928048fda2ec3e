import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { pingRedis } from "../../services/local/ping-redis.ts";
import { provideRedis, type ProvideRedisOptions } from "../../services/local/provide-redis.ts";
import { createSupervisor, type Supervisor } from "../../services/local/supervisor.ts";

let dataDir = "";
let options: ProvideRedisOptions;
let supervisor: Supervisor;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "provide-redis-"));
  options = {
    givenUrl: undefined,
    dataDir,
    searchPath: process.env["PATH"] ?? "",
    allowDownload: true,
    port: await freePort(),
    say: () => undefined,
  };
  supervisor = createSupervisor({ say: () => undefined, onLine: () => undefined, onPid: () => undefined });
});
afterEach(async () => {
  await supervisor.stop(5000);
  await rm(dataDir, { recursive: true });
});

test("a Redis of our own answers to those who have its address with the password, and to nobody else", async () => {
  const redis = await provideRedis(options);
  await supervisor.start(redis.child ? [redis.child] : [], 10_000);
  expect(await pingRedis(redis.url)).toEqual({ ready: true, reason: "" });
  const stranger = await pingRedis(`redis://127.0.0.1:${options.port}`);
  expect(stranger).toEqual({ ready: false, reason: "NOAUTH Authentication required." });
});

test("a Redis that is given is used as it is", async () => {
  const own = await provideRedis(options);
  await supervisor.start(own.child ? [own.child] : [], 10_000);
  expect(await provideRedis({ ...options, givenUrl: own.url })).toEqual({ url: own.url, child: undefined });
});

test("a given Redis that does not answer is said without its password", async () => {
  const givenUrl = `redis://:secret@127.0.0.1:${options.port}`;
  const failure = provideRedis({ ...options, givenUrl });
  await expect(failure).rejects.toThrow(`The Redis at 127.0.0.1:${options.port} does not answer: `);
  await expect(failure).rejects.not.toThrow("secret");
});

test("does not rewrite its file again and again while large bodies come and go", async () => {
  const redis = await provideRedis(options);
  await supervisor.start(redis.child ? [redis.child] : [], 10_000);
  const client = new Redis(redis.url);
  const body = Buffer.alloc(1024 * 1024, "x");
  for (let megabytes = 0; megabytes < 200; megabytes++) await client.multi().set("body", body).del("body").exec();
  const [, rewrites] = /aof_rewrites:(\d+)/.exec(await client.info("persistence")) ?? [];
  client.disconnect();
  expect(rewrites).toBe("0");
});
