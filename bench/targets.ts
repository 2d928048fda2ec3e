/** What the bench can measure: the upstream directly, the bare gateway, Sluice in its two queue modes, and peers from npm. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureRedisBinary } from "../services/local/ensure-redis-binary.ts";
import { kill, start, stop, waitForPort, waitForReady, type Started } from "./processes.ts";

export interface Target {
  readonly name: string;
  readonly url: string;
  readonly key: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Every process whose CPU and memory the target answers for. */
  readonly processes: readonly Started[];
  close(): Promise<void>;
}

/** The whole of Sluice, whose processes can be killed. */
export interface SluiceStack extends Target {
  /** Kills the process at once and starts it again; resolves when it is ready. */
  restart(name: ServiceName | "redis"): Promise<void>;
}

export interface StackOptions {
  readonly name: string;
  readonly workDir: string;
  readonly cpu?: string;
  readonly port: number;
  readonly upstreamUrl: string;
  readonly mode: "always" | "when_waiting";
  readonly workers?: number;
  readonly dispatchers?: number;
  readonly keys?: number;
  readonly models?: number;
  /** Accounts at the upstream, all of them on every route. */
  readonly accounts?: number;
  /** How long traces are kept, when not for the usual hour. */
  readonly traceTtl?: string;
  /** Extra arguments of each node process. */
  readonly nodeArgs?: (service: ServiceName) => readonly string[];
}

export type ServiceName = "gateway" | "dispatcher" | "worker";

const benchKey = "bench-key";

export function directTarget(upstreamUrl: string): Target {
  return { name: "direct", url: upstreamUrl, key: benchKey, processes: [], close: async () => {} };
}

export async function startBare(port: number, upstreamUrl: string, cpu?: string): Promise<Target> {
  const bare = start("bare", [process.execPath, "bench/bare.ts", String(port), upstreamUrl], cpu ? { cpu } : {});
  await waitForPort(port);
  return { name: "bare", url: `http://127.0.0.1:${port}`, key: benchKey, processes: [bare], close: () => stop(bare) };
}

/** Portkey's open gateway. It is no dependency: `npm install --no-save @portkey-ai/gateway` first. */
export async function startPortkey(port: number, upstreamUrl: string, cpu?: string): Promise<Target> {
  const script = "node_modules/@portkey-ai/gateway/build/start-server.js";
  const portkey = start("portkey", [process.execPath, script, "--headless", `--port=${port}`], {
    ...(cpu ? { cpu } : {}),
    env: { NODE_ENV: "production" },
  });
  await waitForPort(port).catch(() => {
    throw new Error("Portkey did not start: run `npm install --no-save @portkey-ai/gateway` first");
  });
  const headers = { "x-portkey-provider": "anthropic", "x-portkey-custom-host": `${upstreamUrl}/v1` };
  const close = (): Promise<void> => stop(portkey);
  return { name: "portkey", url: `http://127.0.0.1:${port}`, key: benchKey, headers, processes: [portkey], close };
}

/** Ports of a stack: gateway, its ops ports and Redis lie side by side from `port` on. */
function writeConfig(options: StackOptions, sockets: readonly string[]): string {
  const keys = [`{ name: bench, key: ${benchKey}, limits: { rpm: 100000000, concurrent: 100000 } }`];
  for (let index = 1; index < (options.keys ?? 1); index += 1)
    keys.push(`{ name: k${index}, key: other-key-${index} }`);
  const accounts = Array.from({ length: options.accounts ?? 1 }, (_, index) =>
    index === 0 ? "bench" : `bench-${index}`,
  );
  const provider = (name: string): string =>
    `${name}: { type: anthropic, base_url: "${options.upstreamUrl}", api_key: ${name}, connections: 4096 }`;
  const models = [`claude-bench: { routes: [${accounts.join(", ")}] }`];
  for (let index = 1; index < (options.models ?? 1); index += 1)
    models.push(`claude-bench-${index}: { routes: [bench] }`);
  const file = join(options.workDir, `${options.name}.yaml`);
  writeFileSync(
    file,
    [
      `server: { host: 127.0.0.1, port: ${options.port}, drain_seconds: 5 }`,
      `redis: { url: "unix:${redisSocket(options)}" }`,
      `workers: { address: "${sockets.map((socket) => `unix:${socket}`).join(",")}" }`,
      options.mode === "always" ? "" : `queue: { interactive: ${options.mode} }`,
      options.traceTtl ? `trace: { ttl: ${options.traceTtl} }` : "",
      `providers:\n  ${accounts.map(provider).join("\n  ")}`,
      `models:\n  ${models.join("\n  ")}`,
      `keys:\n  - ${keys.join("\n  - ")}`,
      "",
    ].join("\n"),
  );
  return file;
}

function redisSocket({ workDir, name }: StackOptions): string {
  return join(workDir, `${name}.sock`);
}

interface Launch {
  /** Undefined for Redis. */
  readonly opsPort?: number;
  start(): Started;
}

export async function startSluice(options: StackOptions): Promise<SluiceStack> {
  const { workDir, port, cpu } = options;
  const redisDir = join(workDir, `${options.name}-redis`);
  mkdirSync(redisDir, { recursive: true });
  const redis = await ensureRedisBinary({
    dir: ".sluice",
    allowDownload: true,
    searchPath: process.env["PATH"] ?? "",
    say: () => {},
  });
  const pinned = cpu ? { cpu } : {};
  const socket = ["--port", String(port + 1), "--unixsocket", redisSocket(options)];
  const file = ["--save", "", "--appendonly", "yes", "--auto-aof-rewrite-min-size", "512mb", "--dir", redisDir];
  const memory = ["--maxmemory", "4gb", "--maxmemory-policy", "noeviction"];
  const startRedis = (): Started =>
    start("redis", [redis.command, ...socket, ...file, ...memory], { ...pinned, env: redis.env });
  const launches: Launch[] = [{ start: startRedis }];
  const processes = [startRedis()];
  await waitForPort(port + 1);
  const sockets = Array.from({ length: options.workers ?? 1 }, (_, index) =>
    join(workDir, `${options.name}-${index}.sock`),
  );
  const config = writeConfig(options, sockets);
  let ops = port + 10;
  const launch = (service: ServiceName, env: Record<string, string> = {}): void => {
    ops += 1;
    const command = [process.execPath, ...(options.nodeArgs?.(service) ?? []), `services/${service}/main.ts`];
    const logFile = join(workDir, `${options.name}-${service}.log`);
    const compiled = join(tmpdir(), "sluice-bench-compiled");
    const all = {
      NODE_ENV: "production",
      NODE_COMPILE_CACHE: compiled,
      SLUICE_CONFIG: config,
      SLUICE_OPS_PORT: String(ops),
      ...env,
    };
    const one: Launch = { opsPort: ops, start: () => start(service, command, { ...pinned, logFile, env: all }) };
    launches.push(one);
    processes.push(one.start());
  };
  for (const socket of sockets) launch("worker", { SLUICE_WORKER_LISTEN: `unix:${socket}` });
  for (let index = 0; index < (options.dispatchers ?? 1); index += 1) launch("dispatcher");
  launch("gateway");
  const ready = async ({ opsPort }: Launch): Promise<void> => {
    if (opsPort === undefined) await waitForPort(port + 1);
    else await waitForReady(`http://127.0.0.1:${opsPort}/readyz`);
  };
  await Promise.all(launches.map(ready));
  return {
    name: options.name,
    url: `http://127.0.0.1:${port}`,
    key: benchKey,
    processes,
    async restart(name) {
      const at = processes.findIndex((each) => each.name === name);
      const [one, old] = [launches[at], processes[at]];
      if (!one || !old) throw new Error(`there is no process ${name}`);
      await kill(old);
      // A killed worker leaves its socket's file behind.
      if (name === "worker") for (const socket of sockets) rmSync(socket, { force: true });
      processes[at] = one.start();
      await ready(one);
    },
    close: async () => {
      for (const each of processes.toReversed()) await stop(each);
    },
  };
}
