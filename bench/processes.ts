/** Starting, pinning, measuring and stopping the processes of a bench run. Linux only: it reads /proc. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface Started {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
}

export interface StartOptions {
  readonly cpu?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly logFile?: string;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts `command`, pinned to `cpu` if given. */
export function start(name: string, command: readonly string[], options: StartOptions = {}): Started {
  const argv = options.cpu ? ["taskset", "-c", options.cpu, ...command] : command;
  const child = spawn(argv[0] ?? "", argv.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
  });
  const log = createWriteStream(options.logFile ?? "/dev/null", { flags: "a" });
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  running.add(child);
  child.once("exit", () => running.delete(child));
  if (child.pid === undefined) throw new Error(`${name}: ${argv[0]} could not be started`);
  return { name, pid: child.pid, child };
}

/** SIGTERM, and SIGKILL after `graceMs`. */
export async function stop(started: Started, graceMs = 5000): Promise<void> {
  if (started.child.exitCode !== null || started.child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => started.child.once("exit", () => resolve()));
  started.child.kill("SIGTERM");
  const timer = setTimeout(() => started.child.kill("SIGKILL"), graceMs);
  await gone;
  clearTimeout(timer);
}

/** SIGKILL; resolves when it is gone. */
export async function kill({ child }: Started): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await gone;
}

export async function waitForPort(port: number, timeoutMs = 20_000): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port} after ${timeoutMs / 1000} s`);
}

export async function waitForReady(url: string, timeoutMs = 30_000): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    await sleep(100);
  }
  throw new Error(`${url} is not ready after ${timeoutMs / 1000} s`);
}

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"]).toString());

/** User and system time of the processes so far, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** Resident memory of a process, in MB. */
export function residentMb(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(match?.[1] ?? 0) / 1024;
}

/** The most resident memory a process has had so far, in MB. */
export function peakResidentMb(pid: number): number {
  const match = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(match?.[1] ?? 0) / 1024;
}
