import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileFault } from "./file-fault.ts";
import { runCommand } from "./run-command.ts";
import { createTerminal } from "./terminal.ts";

const { env } = process;
const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());
process.once("SIGTERM", () => interrupted.abort());
// A reader that has seen enough (`| head`) is no fault of ours.
process.stdout.on("error", () => process.exit());

const isNpm = env["npm_lifecycle_event"] === "sluice";
process.exitCode = await runCommand({
  argv: process.argv.slice(2),
  env,
  terminal: createTerminal(process.stdout, process.stderr),
  stdin: process.stdin,
  // npm runs scripts in the package's folder; the user may be elsewhere.
  path: (file) => resolve(isNpm ? (env["INIT_CWD"] ?? ".") : ".", file),
  readLocalKey: () => {
    const file = resolve(".sluice/key");
    try {
      return { key: readFileSync(file, "utf8"), file };
    } catch (reason) {
      if (reason instanceof Error && "code" in reason && reason.code === "ENOENT") return undefined;
      throw fileFault("read", file, reason);
    }
  },
  self: isNpm ? "npm run sluice --" : "node cli/main.ts",
  signal: interrupted.signal,
});
