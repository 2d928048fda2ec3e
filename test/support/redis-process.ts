import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";

import { ensureRedisBinary } from "../../services/local/ensure-redis-binary.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

/** A Redis server of a test's own, which it may kill, freeze and start again. */
export interface RedisProcess {
  readonly url: string;
  readonly port: number;
  /** Resolves when it answers, with nothing in it, or what it kept. */
  start(): Promise<void>;
  /** Resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Stops it for a while without closing its connections, and lets it go on. */
  freeze(): void;
  thaw(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const root = join(import.meta.dirname, "../..");

export interface RedisOptions {
  /** Keeps what it was told in this folder, so that `start` finds it again. */
  readonly dir?: string;
  /** As in redis.conf, such as `64mb`. */
  readonly maxMemory?: string;
}

/** Starts a Redis on a free port, without persistence unless asked: `noeviction`, as the services want it. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisProcess> {
  const binary = await ensureRedisBinary({
    dir: join(root, ".sluice"),
    searchPath: process.env["PATH"] ?? "",
    allowDownload: true,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  const port = await freePort();
  let child: ChildProcess | undefined;

  const redis: RedisProcess = {
    url: `redis://127.0.0.1:${port}`,
    port,
    async start() {
      child = spawn(
        binary.command,
        ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no", ...optionWords(options)],
        { env: { ...process.env, ...binary.env }, stdio: "ignore" },
      );
      await eventually(() => ping(port));
    },
    async kill(signal = "SIGKILL") {
      const dying = child;
      child = undefined;
      if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
      const gone = once(dying, "exit");
      dying.kill("SIGCONT");
      dying.kill(signal);
      await gone;
    },
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
    [Symbol.asyncDispose]: () => redis.kill(),
  };
  await redis.start();
  return redis;
}

function optionWords({ dir, maxMemory }: RedisOptions): string[] {
  const kept = dir === undefined ? ["--appendonly", "no"] : ["--appendonly", "yes", "--dir", dir];
  return maxMemory === undefined ? kept : [...kept, "--maxmemory", maxMemory];
}

function ping(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.setTimeout(1_000, () => socket.destroy(new Error("Redis does not answer")));
    socket.once("error", reject);
    socket.once("data", (data) => {
      socket.destroy();
      if (data.toString().startsWith("+PONG")) resolve();
      else reject(new Error(`Redis answered ${data.toString()}`));
    });
  });
}
