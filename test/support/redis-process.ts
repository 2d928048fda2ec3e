import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ensureRedisBinary } from "../../services/local/ensure-redis-binary.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

/** A Redis server of a test's own, set up as the services want theirs, which it may kill, freeze and start again. */
export interface RedisProcess {
  readonly url: string;
  /** Resolves when it answers, with nothing in it, or what it kept. */
  start(): Promise<void>;
  /** Resolves when the process is gone; it leaves without a word unless told. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Stops it for a while without closing its connections, and lets it go on. */
  freeze(): void;
  thaw(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RedisOptions {
  /** Keeps every write on disk, so that `start` finds it again. */
  readonly appendOnly?: boolean;
  /** The only node of a cluster: refuses scripts that touch several slots or undeclared keys' slots. */
  readonly cluster?: boolean;
  readonly password?: string;
  /** As in redis.conf, such as `64mb`. */
  readonly maxMemory?: string;
}

const root = join(import.meta.dirname, "../..");

/** Starts a Redis on a free port. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisProcess> {
  const binary = await ensureRedisBinary({
    dir: join(root, ".sluice"),
    searchPath: process.env["PATH"] ?? "",
    allowDownload: true,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), "sluice-redis-"));
  const args = serverArguments(options, port, dir);
  // Else 10,000 above the other one, where somebody may be.
  if (options.cluster) args.push("--cluster-port", String(await freePort()));
  let child: ChildProcess | undefined;
  const redis: RedisProcess = {
    url: `redis://${options.password ? `:${options.password}@` : ""}127.0.0.1:${port}`,
    async start() {
      child = spawn(binary.command, args, { env: { ...process.env, ...binary.env }, stdio: "ignore" });
      const login = options.password ? [`AUTH ${options.password}`] : [];
      await eventually(async () => expectAnswer(await tell(port, [...login, "PING"]), "+PONG"));
      if (!options.cluster) return;
      await tell(port, ["CLUSTER ADDSLOTSRANGE 0 16383"]);
      await eventually(async () => expectAnswer(await tell(port, ["CLUSTER INFO"]), "cluster_state:ok"));
    },
    async kill(signal = "SIGKILL") {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGCONT");
      child.kill(signal);
      await gone;
    },
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await redis.kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
  await redis.start();
  return redis;
}

function serverArguments(options: RedisOptions, port: number, dir: string): string[] {
  const settings: Record<string, string> = {
    port: String(port),
    bind: "127.0.0.1",
    dir,
    save: "",
    daemonize: "no",
    "maxmemory-policy": "noeviction",
    appendonly: options.appendOnly ? "yes" : "no",
    // Written before it is answered, each time, which a killed process does not take back; only the system going down would.
    appendfsync: "no",
    "cluster-enabled": options.cluster ? "yes" : "no",
    ...(options.password ? { requirepass: options.password } : {}),
    ...(options.maxMemory ? { maxmemory: options.maxMemory } : {}),
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** What the server answers to inline commands within a moment. */
function tell(port: number, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.end(`${commands.join("\r\n")}\r\n`));
    socket.setTimeout(1000, () => socket.destroy(new Error("Redis does not answer")));
    socket.on("data", (data) => (answer += data.toString()));
    socket.once("error", reject);
    socket.once("close", () => resolve(answer));
  });
}

function expectAnswer(answer: string, wanted: string): void {
  if (!answer.includes(wanted)) throw new Error(`Redis answered ${answer}`);
}
