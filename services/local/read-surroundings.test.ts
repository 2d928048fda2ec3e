import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSurroundings, type Environment, type Surroundings } from "./read-surroundings.ts";

const offers = { redisUrl: "redis://127.0.0.1:7001", simulatorUrl: "http://127.0.0.1:7002" };
let dir = "";

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "surroundings-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

async function read(env: Environment, file?: string): Promise<Surroundings> {
  if (file !== undefined) await writeFile(join(dir, "sluice.yaml"), file);
  return await readSurroundings(env, dir, offers);
}

test("nothing configured: our own Redis, the simulator, a key to be made", async () => {
  expect(await read({})).toMatchObject({
    configFile: undefined,
    port: 8080,
    url: "http://127.0.0.1:8080",
    redisUrl: undefined,
    usesSimulator: true,
    model: "claude-sonnet-5-5",
    drainMs: 600_000,
    hasKeys: false,
    knownKey: undefined,
  });
});

test("a provider, a Redis, a key and a port of the environment are taken over", async () => {
  const env = { ANTHROPIC_API_KEY: "sk-ant", REDIS_URL: "redis://there:1", SLUICE_KEY: "mine", PORT: "9999" };
  expect(await read(env)).toMatchObject({
    port: 9999,
    redisUrl: "redis://there:1",
    usesSimulator: false,
    hasKeys: true,
    knownKey: "mine",
  });
});

test("a sluice.yaml of the folder is found, and its own Redis, keys and models are respected", async () => {
  const file = `
    server: { host: 0.0.0.0, public_url: "https://sluice.example/" }
    redis: { url: "redis://fixed:6379" }
    providers: { one: { type: anthropic, api_key: "\${ONE_KEY}" } }
    models: { my-model: { routes: [one] } }
    keys: [{ name: a, key: secret-of-a }]`;
  const found = await read({ ONE_KEY: "k", SLUICE_KEY: "another" }, file);
  expect(found).toMatchObject({
    configFile: join(dir, "sluice.yaml"),
    url: "https://sluice.example",
    redisUrl: "redis://fixed:6379",
    usesSimulator: false,
    hasKeys: true,
    knownKey: undefined,
    keyNames: ["a"],
    hosts: ["api.anthropic.com"],
    model: "my-model",
  });
});

test("keys that are disabled or have expired are not offered", async () => {
  const providers = "providers: { one: { type: anthropic, api_key: k } }\n";
  const keys = `keys:
    - { name: old, key: old-secret, expires_at: 2020-01-31 }
    - { name: off, key: off-secret, disabled: true }
    - { name: good, key: good-secret, expires_at: 9999-12-31 }`;
  expect(await read({ SLUICE_KEY: "off-secret" }, providers + keys)).toMatchObject({
    hasKeys: true,
    keyNames: ["good"],
    knownKey: undefined,
  });
});

test("doubts of every process are known before anything starts", async () => {
  const file = `
    providers: { one: { type: anthropic } }
    models: { claude-sonet-5-5: , house: }
    keys: [{ name: a, key: a, models: [nothing] }, { name: b, key: b, models: [house], budget: { usd: 1, per: day } }]`;
  expect((await read({}, file)).doubts.map(({ member }) => member)).toEqual([
    "providers.one.api_key",
    "models.claude-sonet-5-5",
    "keys[0].models",
    "keys[1].budget",
  ]);
});

test.each(["", "providers: {}", "keys: []\nproviders:\n"])(
  "%j names no provider, and the simulator comes in",
  async (file) => {
    expect(await read({}, file)).toMatchObject({ usesSimulator: true, namesProviders: false });
  },
);

test("a file that leaves Redis and the simulator to the environment gets ours", async () => {
  const file = `
    redis: { url: "\${REDIS_URL:-redis://127.0.0.1:6379}" }
    workers: { listen: "0.0.0.0:50051" }
    providers: { sim: { type: anthropic, base_url: "\${SLUICE_SIMULATOR_URL}", api_key: k } }`;
  expect(await read({}, file)).toMatchObject({
    redisUrl: undefined,
    usesSimulator: true,
    namesProviders: true,
  });
});

test("a wildcard host is called by loopback", async () => {
  expect((await read({ SLUICE_HOST: "0.0.0.0" })).url).toBe("http://127.0.0.1:8080");
  expect((await read({ SLUICE_HOST: "::1" })).url).toBe("http://[::1]:8080");
});

test("faults of the configuration are reported with their paths, also those that only a worker minds", async () => {
  await expect(read({}, "server: { prot: 1 }")).rejects.toThrow(/server/);
  await expect(read({}, `providers: { one: { type: anthropic, api_key: "\${MISSING}" } }`)).rejects.toThrow(
    /providers\.one\.api_key/,
  );
});

test("everybody's faults come at once, under the name of the file, with what to do", async () => {
  const file = `
    providers: { one: { type: anthropic, api_key: "\${ONE_KEY}" } }
    keys: [{ name: ci, key: "\${CI_KEY}" }]`;
  await expect(read({}, file)).rejects.toThrow(
    "sluice.yaml has 2 faults:\n" +
      "  keys[0].key: the environment variable CI_KEY is not set: set it, or delete keys[0]\n" +
      "  providers.one.api_key: the environment variable ONE_KEY is not set: set it, or delete providers.one",
  );
  await expect(read({ PORT: "x" }, "{}")).rejects.toThrow("The configuration has a fault:\n  PORT: must be");
});
