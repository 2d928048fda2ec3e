import { execFile } from "node:child_process";

export interface ToolOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

/** Runs a program to its end; resolves with what it printed, rejects with what it complained about. */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = { ...options, encoding: "utf8", maxBuffer: 16 * 1024 * 1024 } as const;
    execFile(command, [...args], settings, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const words = stderr.trim().split("\n").slice(-3).join(" ");
      reject(new Error(`${command} failed: ${words === "" ? error.message : words}`, { cause: error }));
    });
  });
}
