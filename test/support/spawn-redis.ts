import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureRedisBinary } from "../../services/local/ensure-redis-binary.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

export interface SpawnRedisOptions {
  /** Keeps every write on disk, so that `restart` loses nothing. */
  readonly appendOnly?: boolean;
  /** The only node of a cluster: refuses scripts that touch several slots or undeclared keys' slots. */
  readonly cluster?: boolean;
  readonly password?: string;
}

/** A Redis server of one test's own, set up as the services want theirs. */
export interface SpawnedRedis {
  readonly url: string;
  /** Gone without a word. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Stands still without closing a connection. */
  freeze(): void;
  thaw(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const root = join(import.meta.dirname, "../..");

export async function spawnRedis(options: SpawnRedisOptions = {}): Promise<SpawnedRedis> {
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
  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
  async function start(): Promise<void> {
    child = spawn(binary.command, args, { env: { ...process.env, ...binary.env }, stdio: "ignore" });
    const login = options.password ? [`AUTH ${options.password}`] : [];
    await eventually(async () => expectPong(await tell(port, [...login, "PING"])));
    if (options.cluster) {
      await tell(port, ["CLUSTER ADDSLOTSRANGE 0 16383"]);
      await eventually(async () => expectOk(await tell(port, ["CLUSTER INFO"])));
    }
  }
  await start();
  return {
    url: `redis://${options.password ? `:${options.password}@` : ""}127.0.0.1:${port}`,
    kill,
    start,
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function serverArguments(options: SpawnRedisOptions, port: number, dir: string): string[] {
  const settings: Record<string, string> = {
    port: String(port),
    bind: "127.0.0.1",
    dir,
    save: "",
    daemonize: "no",
    "maxmemory-policy": "noeviction",
    appendonly: options.appendOnly ? "yes" : "no",
    appendfsync: "always",
    "cluster-enabled": options.cluster ? "yes" : "no",
    ...(options.password ? { requirepass: options.password } : {}),
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

function expectPong(answer: string): void {
  if (!answer.includes("+PONG")) throw new Error(`Redis answered ${answer}`);
}

function expectOk(answer: string): void {
  if (!answer.includes("cluster_state:ok")) throw new Error("the cluster is not up");
}
