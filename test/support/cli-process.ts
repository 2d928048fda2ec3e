import { spawn } from "node:child_process";
import { compileCache } from "./compile-cache.ts";

const main = new URL("../../cli/main.ts", import.meta.url).pathname;

/** The command line as it runs. */
export interface CliProcess {
  readonly stdout: string;
  readonly stderr: string;
  interrupt(): void;
  /** The exit code. */
  readonly ended: Promise<number | null>;
}

export interface CliOptions {
  readonly cwd: string;
  /** All of the environment but what Node needs. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export function startCli(args: readonly string[], { cwd, env, stdin = "" }: CliOptions): CliProcess {
  const needed = { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compileCache };
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...needed, ...env } });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  child.stdin.end(stdin);
  return {
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    interrupt: () => void child.kill("SIGINT"),
    ended: new Promise((resolve) => child.once("close", resolve)),
  };
}

export interface CliEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCli(args: readonly string[], options: CliOptions): Promise<CliEnd> {
  const running = startCli(args, options);
  const code = await running.ended;
  return { code, stdout: running.stdout, stderr: running.stderr };
}
