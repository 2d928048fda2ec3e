import { readFileSync } from "node:fs";
import { resolve } from "node:path";
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
    try {
      return readFileSync(".sluice/key", "utf8").trim();
    } catch {
      return undefined;
    }
  },
  self: isNpm ? "npm run sluice --" : "node cli/main.ts",
  signal: interrupted.signal,
});
