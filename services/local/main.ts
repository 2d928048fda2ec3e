import { join } from "node:path";
import { readLocalOptions, usage } from "./read-local-options.ts";
import { startLocal } from "./start-local.ts";

/** npm hands a Ctrl-C on to us that the terminal has sent us too: signals this close together are one. */
const sameKeyPressMs = 1000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
// A closed terminal must not keep us from ending the children.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

const end = new AbortController();
const endAtOnce = new AbortController();
let firstSignalAt = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    if (!end.signal.aborted) firstSignalAt = Date.now();
    else if (Date.now() - firstSignalAt > sameKeyPressMs) endAtOnce.abort();
    end.abort();
  });
process.on("exit", () => endAtOnce.abort());

try {
  const options = readLocalOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(usage);
  else
    await startLocal(options, {
      env: Object.fromEntries(
        Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
      ),
      cwd: process.cwd(),
      root: join(import.meta.dirname, "..", ".."),
      colour: process.stdout.isTTY && !process.env["NO_COLOR"],
      print,
      end: end.signal,
      endAtOnce: endAtOnce.signal,
    });
} catch (reason) {
  process.stderr.write(`sluice: ${reason instanceof Error ? reason.message : String(reason)}\n`);
  process.exitCode = 1;
}
