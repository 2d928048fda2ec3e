import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { compileCache } from "./compile-cache.ts";
import { eventually } from "./eventually.ts";

export type Role = "gateway" | "dispatcher" | "worker" | "simulator";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One of our processes, as it runs in production: `node services/<role>/main.ts`. */
export interface StackProcess {
  readonly name: string;
  readonly role: Role;
  readonly pid: number;
  /** Where the gateway's callers come in, or a worker's sessions. */
  readonly port: number;
  /** Where /livez, /readyz and /metrics are. */
  readonly opsUrl: string;
  /** Every line it wrote since the stack began, of stdout and stderr. */
  readonly lines: readonly string[];
  readonly running: boolean;
  /** How it ended, once it has. */
  readonly exit: Promise<Exit>;
  start(): void;
  /** Resolves when /readyz says so; rejects with its reasons or the log when time is up. */
  ready(timeoutMs?: number): Promise<void>;
  /** Sends a signal and resolves when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<Exit>;
  /** Sends a signal without waiting for what comes of it. */
  signal(signal: NodeJS.Signals): void;
}

export interface StackProcessOptions {
  readonly name: string;
  readonly role: Role;
  readonly port: number;
  readonly opsPort: number;
  readonly env: Readonly<Record<string, string>>;
}

const root = join(import.meta.dirname, "../..");
const children = new Set<ChildProcess>();

// A test run that dies must not leave processes behind.
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

export function createStackProcess(options: StackProcessOptions): StackProcess {
  const lines: string[] = [];
  const opsUrl = `http://127.0.0.1:${options.opsPort}`;
  let child: ChildProcess | undefined;
  let exit: Promise<Exit> = Promise.reject(new Error("not started"));
  exit.catch(() => {});

  const self: StackProcess = {
    name: options.name,
    role: options.role,
    port: options.port,
    opsUrl,
    lines,
    get pid() {
      return child?.pid ?? -1;
    },
    get running() {
      return child !== undefined && child.exitCode === null && child.signalCode === null;
    },
    get exit() {
      return exit;
    },
    start() {
      child = launch(options, lines);
      exit = waitForExit(child);
    },
    async ready(timeoutMs = 50_000) {
      const isReady = async (): Promise<void> => {
        if (self.running) await assertReady(self);
      };
      await eventually(isReady, { timeoutMs, everyMs: 25 }).catch((reason: unknown) => {
        throw new Error(`${options.name} is not ready\n${lines.slice(-20).join("\n")}`, { cause: reason });
      });
      if (!self.running) throw new Error(`${options.name} has ended\n${lines.slice(-20).join("\n")}`);
    },
    async kill(signal) {
      child?.kill(signal);
      return await exit;
    },
    signal: (signal) => void child?.kill(signal),
  };
  return self;
}

function launch({ role, env }: StackProcessOptions, lines: string[]): ChildProcess {
  const child = spawn(process.execPath, [join(root, "services", role, "main.ts")], {
    cwd: root,
    env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => lines.push(line));
  return child;
}

async function waitForExit(child: ChildProcess): Promise<Exit> {
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return { code, signal };
}

async function assertReady({ opsUrl, name }: StackProcess): Promise<void> {
  const response = await fetch(`${opsUrl}/readyz`);
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${name}: ${body}`);
}
