import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import type { Environment } from "./interpolate.ts";
import { loadConfig, reloadKeys, type LoadOptions } from "./load-config.ts";
import { hashKey } from "./read-identities.ts";
import type { SluiceConfig } from "./schema.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-config-"));
const file = join(folder, "sluice.yaml");
afterAll(() => rmSync(folder, { recursive: true }));

function load(text: string, environment: Environment = {}, options: LoadOptions = {}): SluiceConfig {
  writeFileSync(file, text);
  return loadConfig({ SLUICE_CONFIG: file, ...environment }, options);
}

/** The faults as `path: message`. */
function faults(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

const one = "providers: { first: { type: anthropic, api_key: a } }\n";

describe("without a file", () => {
  test("the defaults are the design's", () => {
    const config = loadConfig({});
    expect(config.server).toMatchObject({
      host: "127.0.0.1",
      port: 8080,
      heartbeatAfterMs: 240_000,
      maxBodyBytes: 33_554_432,
    });
    expect(config.engine).toMatchObject({ rerunSent: true, backoffBaseMs: 500, headersTimeoutMs: 120_000 });
    expect(config.lanes).toMatchObject({ interactive: 1_000, count: 200 });
    expect(config.queue.lingerMs).toBe(5_000);
    const dayMs = 86_400_000;
    expect(config.jobs).toMatchObject({ expiresAfterMs: dayMs, keepMs: dayMs });
    expect(config.batches).toMatchObject({
      maxBodyBytes: 268_435_456,
      maxRequests: 100_000,
      expireAfterMs: dayMs,
      keepResultsMs: 29 * dayMs,
    });
    expect(config.workers).toEqual({ address: "ipv4:127.0.0.1:50051", listen: "127.0.0.1:50051", token: "" });
    expect(config.keys).toEqual([]);
    expect(Object.keys(config.models)).toEqual([]);
  });

  test("without any provider the simulator is there twice, so that failing over can be seen", () => {
    const { providers } = loadConfig({ SLUICE_SIMULATOR_URL: "http://simulator:8080" });
    expect(
      Object.entries(providers).map(([name, { baseUrl, apiKey, threads }]) => [name, baseUrl, apiKey, threads]),
    ).toEqual([
      ["simulator", "http://simulator:8080", "sim-1", true],
      ["simulator-2", "http://simulator:8080", "sim-2", true],
    ]);
    expect(loadConfig({}).providers["simulator"]?.baseUrl).toBe("http://127.0.0.1:9100");
  });

  test("a key for Anthropic makes it the provider", () => {
    const { providers } = loadConfig({ ANTHROPIC_API_KEY: "sk" });
    expect(Object.keys(providers)).toEqual(["anthropic"]);
    expect(providers["anthropic"]).toMatchObject({ baseUrl: "https://api.anthropic.com", apiKey: "sk", threads: true });
  });

  test("an empty key for Anthropic counts as none", () => {
    expect(Object.keys(loadConfig({ ANTHROPIC_API_KEY: "" }).providers)).toEqual(["simulator", "simulator-2"]);
  });

  test("the environment says the rest", () => {
    const config = loadConfig({
      PORT: "0",
      SLUICE_HOST: "0.0.0.0",
      REDIS_URL: "rediss://:pw@redis:6380/1",
      SLUICE_WORKERS: "dns:///worker:50051",
      SLUICE_WORKER_LISTEN: "0.0.0.0:50051",
      SLUICE_WORKER_TOKEN: "12345",
      SLUICE_OPS_PORT: "9090",
      SLUICE_OPS_HOST: "0.0.0.0",
      SLUICE_LOG_LEVEL: "debug",
    });
    expect(config.server).toMatchObject({ host: "0.0.0.0", port: 0 });
    expect(config.redis.url).toBe("rediss://:pw@redis:6380/1");
    expect(config.workers).toEqual({ address: "dns:///worker:50051", listen: "0.0.0.0:50051", token: "12345" });
    expect(config.ops).toEqual({ host: "0.0.0.0", gateway: 9090, dispatcher: 9090, worker: 9090, simulator: 9090 });
    expect(config.log.level).toBe("debug");
  });

  test("a fault of a variable goes by its name, once", () => {
    const environment = { PORT: "http", SLUICE_OPS_PORT: "70000", SLUICE_SIMULATOR_URL: "simulator:80" };
    expect(faults(() => loadConfig(environment))).toEqual([
      "PORT: must be a whole number from 0 to 65535",
      "SLUICE_OPS_PORT: must be a whole number from 0 to 65535",
      "SLUICE_SIMULATOR_URL: must be an http(s) URL without credentials, query or fragment",
    ]);
  });
});

test("a file that is not there is said to be the one that SLUICE_CONFIG names", () => {
  const named = join(folder, "nofile.yaml");
  expect(() => loadConfig({ SLUICE_CONFIG: named })).toThrow(
    `${named} has a fault:\n  there is no such file, and SLUICE_CONFIG names it`,
  );
  expect(() => loadConfig({ SLUICE_CONFIG: folder })).toThrow("the file cannot be read (EISDIR)");
});

describe("the callers' keys", () => {
  test("SLUICE_KEY makes one that is named default", () => {
    expect(loadConfig({ SLUICE_KEY: "secret" }).keys).toEqual([{ name: "default", sha256: hashKey("secret") }]);
  });

  test("configured keys go before SLUICE_KEY", () => {
    const { keys } = load(`${one}keys: [{ name: ci, key: k }]`, { SLUICE_KEY: "secret" });
    expect(keys.map(({ name }) => name)).toEqual(["ci"]);
  });

  test("the demo key opens the simulator", () => {
    expect(
      loadConfig({ SLUICE_KEY: "sluice-demo-key", SLUICE_SIMULATOR_URL: "http://simulator:8080" }).keys,
    ).toHaveLength(1);
  });

  test("the demo key is refused as soon as a provider is real", () => {
    const refused =
      "the demo key is known to everybody and opens the simulator only; set a key of your own, such as `openssl rand -hex 24` makes";
    const environment = { SLUICE_KEY: "sluice-demo-key", ANTHROPIC_API_KEY: "sk" };
    expect(faults(() => loadConfig(environment))).toEqual([`SLUICE_KEY: ${refused}`]);
    expect(faults(() => loadConfig(environment, { process: "worker" }))).toEqual([`SLUICE_KEY: ${refused}`]);
    const text = `${one}keys: [{ name: ci, key: other }, { name: demo, sha256: ${hashKey("sluice-demo-key")} }]`;
    expect(faults(() => load(text))).toEqual([`keys[1]: ${refused}`]);
  });

  test("they are hashed, and what a key may do is read", () => {
    const { keys } = load(
      `${one}keys:
      - { name: ci, key: "\${CI_KEY}", models: ["claude-*"], limits: { rpm: 600 }, expires_at: 2027-01-31 }
      - { name: old, sha256: ${hashKey("b").toUpperCase()}, disabled: true }`,
      { CI_KEY: "12345" },
    );
    expect(keys).toEqual([
      {
        name: "ci",
        sha256: hashKey("12345"),
        models: ["claude-*"],
        limits: { rpm: 600 },
        expiresAt: Date.UTC(2027, 0, 31),
      },
      { name: "old", sha256: hashKey("b"), disabled: true },
    ]);
  });

  test("reloading takes over keys and issuers, and nothing else", () => {
    const before = load(`${one}keys: [{ name: ci, key: a }]`);
    writeFileSync(file, `${one}server: { port: 1 }\nkeys: [{ name: new, key: b }]\n`);
    const after = reloadKeys(before, { SLUICE_CONFIG: file });
    expect(after.keys.map(({ name }) => name)).toEqual(["new"]);
    expect(after.server).toBe(before.server);
    writeFileSync(file, "keys: [{}]");
    expect(() => reloadKeys(before, { SLUICE_CONFIG: file })).toThrow(ConfigError);
  });
});

describe("who asks", () => {
  const text =
    'providers: { first: { type: anthropic, api_key: "${UP_KEY}", headers: { X-Team: t } } }\n' +
    'keys: [{ name: ci, key: "${CI_KEY}" }]\n';

  test("a gateway needs the callers' keys, and gets no provider's", () => {
    const config = load(text, { UP_KEY: "sk", CI_KEY: "k" }, { process: "gateway" });
    expect(JSON.stringify(config)).not.toContain("sk");
    expect(config.providers["first"]?.headers).toEqual({});
    expect(faults(() => load(text, {}, { process: "gateway" }))).toEqual([
      "keys[0].key: the environment variable CI_KEY is not set: set it, or delete keys[0]",
    ]);
  });

  test("a dispatcher needs neither, and knows all the same whose budget is what", () => {
    const budgeted = text.replace('"${CI_KEY}"', '"${CI_KEY}", budget: { usd: 5, per: day }');
    expect(load(budgeted, {}, { process: "dispatcher" }).keys).toEqual([
      { name: "ci", sha256: "", budget: { usd: 5, per: "day" } },
    ]);
  });

  test("a worker needs the providers' keys", () => {
    expect(load(text, { UP_KEY: "sk" }, { process: "worker" }).providers["first"]).toMatchObject({
      apiKey: "sk",
      headers: { "x-team": "t" },
    });
    expect(faults(() => load(text, {}, { process: "worker" }))).toEqual([
      "providers.first.api_key: the environment variable UP_KEY is not set: set it, or delete providers.first",
    ]);
  });

  test.each(["0.0.0.0:50051", "[::]:50051", "worker:50051"])(
    "a worker does not listen on %s without a token",
    (listen) => {
      expect(faults(() => loadConfig({ SLUICE_WORKER_LISTEN: listen }, { process: "worker" }))).toEqual([
        "SLUICE_WORKER_LISTEN: a worker that listens beyond loopback needs workers.token (SLUICE_WORKER_TOKEN) or workers.tls",
      ]);
      expect(faults(() => loadConfig({ SLUICE_WORKER_LISTEN: listen }, { process: "gateway" }))).toEqual([]);
      expect(
        faults(() => loadConfig({ SLUICE_WORKER_LISTEN: listen, SLUICE_WORKER_TOKEN: "t" }, { process: "worker" })),
      ).toEqual([]);
    },
  );
});

test("what is loaded is frozen, and made-up names find nothing in it", () => {
  const config = load(one);
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.providers["first"])).toBe(true);
  expect(config.providers["constructor"]).toBeUndefined();
  expect(config.providers["__proto__"]).toBeUndefined();
});
