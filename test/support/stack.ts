import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { inject } from "vitest";

import type { Endpoint } from "./clients.ts";
import { freePort } from "./free-port.ts";
import { createStackProcess, type Role, type StackProcess } from "./stack-process.ts";

/** A part of sluice.yaml, in the file's own words. */
export type ConfigTree = Readonly<Record<string, unknown>>;

export interface StackOptions {
  /** Base URLs of the providers `one`, `two`, …, asked in this order. */
  readonly upstreams?: readonly { readonly url: string }[];
  readonly gateways?: number;
  readonly dispatchers?: number;
  readonly workers?: number;
  /** Sections of sluice.yaml that go over the stack's own, member by member. */
  readonly config?: Readonly<Record<string, ConfigTree>>;
  /** Members of every provider. */
  readonly provider?: ConfigTree;
  readonly redisUrl?: string;
}

export interface Stack {
  /** Where the first gateway listens. */
  readonly url: string;
  readonly urls: readonly string[];
  /** The second gateway, with `key`. */
  readonly other: Endpoint;
  /** Everything is allowed to `key`; `otherKey` is somebody else's; `opusKey` may use Opus only. */
  readonly key: string;
  readonly otherKey: string;
  readonly opusKey: string;
  readonly processes: readonly StackProcess[];
  /** The sluice.yaml of all processes; JSON, which is YAML too. */
  readonly configFile: string;
  /** By name: `gateway`, `worker-2`, … */
  get(name: string): StackProcess;
  /** The lines of all processes, for failures and for what must never be in them. */
  log(): string;
  /** Ends all with SIGTERM; rejects if one that was running does not drain to exit code 0, or one survives. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const providerNames = ["one", "two", "three"] as const;

/** Starts the real processes with a config of their own on free ports, and resolves when all are ready. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const roles: Role[] = [
    ...Array<Role>(options.workers ?? 1).fill("worker"),
    ...Array<Role>(options.dispatchers ?? 1).fill("dispatcher"),
    ...Array<Role>(options.gateways ?? 1).fill("gateway"),
  ];
  const places = await Promise.all(
    roles.map(async (role, index) => {
      const number = roles.slice(0, index).filter((other) => other === role).length + 1;
      const many = roles.filter((other) => other === role).length > 1;
      const name = many ? `${role}-${number}` : role;
      return { role, name, port: await freePort(), opsPort: await freePort() };
    }),
  );
  const workerPorts = places.filter(({ role }) => role === "worker").map(({ port }) => `127.0.0.1:${port}`);
  const file = join(folder, "sluice.yaml");
  await writeFile(file, JSON.stringify(buildConfig(options, workerPorts), null, 2));
  const processes = places.map(({ role, name, port, opsPort }) =>
    createStackProcess({
      role,
      name,
      port,
      opsPort,
      env: {
        SLUICE_CONFIG: file,
        SLUICE_OPS_PORT: String(opsPort),
        ...(role === "gateway" ? { PORT: String(port) } : {}),
        ...(role === "worker" ? { SLUICE_WORKER_LISTEN: `127.0.0.1:${port}` } : {}),
      },
    }),
  );
  const urls = places.filter(({ role }) => role === "gateway").map(({ port }) => `http://127.0.0.1:${port}`);
  const stack = createStack(processes, urls, file);
  for (const process of processes) process.start();
  try {
    await Promise.all(processes.map((process) => process.ready()));
  } catch (reason) {
    await kill(processes);
    throw reason;
  }
  return stack;
}

const keys = { key: "sk-sluice-test", otherKey: "sk-sluice-other", opusKey: "sk-sluice-opus" };

function createStack(processes: readonly StackProcess[], urls: readonly string[], configFile: string): Stack {
  const stack: Stack = {
    ...keys,
    url: urls[0] ?? "",
    urls,
    other: { url: urls[1] ?? "", key: keys.key },
    processes,
    configFile,
    get(name) {
      const found = processes.find((process) => process.name === name);
      if (!found) throw new Error(`there is no process ${name}`);
      return found;
    },
    log: () => processes.flatMap(({ name, lines }) => lines.map((line) => `${name} | ${line}`)).join("\n"),
    async stop() {
      const running = processes.filter((process) => process.running);
      try {
        for (const process of running) process.signal("SIGTERM");
        const exits = await Promise.all(running.map(exitOf));
        const bad = exits.filter(({ code }) => code !== 0);
        if (bad.length > 0) throw new Error(`did not end with 0: ${JSON.stringify(bad)}\n${stack.log()}`);
      } finally {
        await kill(processes);
        await rm(dirname(configFile), { recursive: true, force: true });
      }
    },
    [Symbol.asyncDispose]: () => stack.stop(),
  };
  return stack;
}

interface NamedExit {
  readonly name: string;
  readonly code: number | null;
}

async function exitOf({ name, exit }: StackProcess): Promise<NamedExit> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<NamedExit>((resolve) => {
    timer = setTimeout(() => resolve({ name: `${name} (still running)`, code: null }), 30_000);
  });
  const ended = await Promise.race([exit.then(({ code }) => ({ name, code })), tooLong]);
  clearTimeout(timer);
  return ended;
}

async function kill(processes: readonly StackProcess[]): Promise<void> {
  await Promise.all(processes.filter(({ running }) => running).map((process) => process.kill("SIGKILL")));
}

function buildConfig(options: StackOptions, workerPorts: readonly string[]): ConfigTree {
  const own: Record<string, ConfigTree> = {
    server: { host: "127.0.0.1", drain_seconds: 10 },
    redis: { url: options.redisUrl ?? inject("redisUrl"), prefix: `t${randomBytes(6).toString("hex")}` },
    workers: { address: `ipv4:${workerPorts.join(",")}`, token: "a token for tests" },
    engine: { backoff_base: "20ms", backoff_max: "100ms" },
    providers: Object.fromEntries(
      (options.upstreams ?? []).map(({ url }, index) => [
        providerNames[index] as string,
        { type: "anthropic", base_url: url, api_key: `sim-${index + 1}`, threads: true, ...options.provider },
      ]),
    ),
  };
  for (const [section, members] of Object.entries(options.config ?? {})) own[section] = { ...own[section], ...members };
  return {
    ...own,
    keys: [
      { name: "test", key: keys.key },
      { name: "other", key: keys.otherKey },
      { name: "opus-only", key: keys.opusKey, models: ["claude-opus-*"] },
      { name: "two-a-minute", key: "sk-sluice-slow", limits: { rpm: 2 } },
      { name: "five-a-minute", key: "sk-sluice-burst", limits: { rpm: 5 } },
      { name: "budgeted", key: "sk-sluice-budgeted", budget: { usd: 0.001, per: "day" } },
      { name: "batched", key: "sk-sluice-batched", budget: { usd: 0.001, per: "day" } },
      { name: "native", key: "sk-sluice-native", budget: { usd: 0.0003, per: "day" } },
      { name: "jobs", key: "sk-sluice-jobs", budget: { usd: 1, per: "month" } },
      { name: "admin", key: "sk-sluice-admin", admin: true },
    ],
  };
}
