import { join } from "node:path";
import { isatty } from "node:tty";
import { readLocalOptions, usage } from "./read-local-options.ts";
import { startLocal } from "./start-local.ts";

/** npm hands a Ctrl-C on to us that the terminal has sent us too: signals this close together are one. */
const sameKeyPressMs = 1000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const end = new AbortController();
// Nobody reads any more: the terminal is closed, or what we were piped into has ended.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => end.abort());
const endAtOnce = new AbortController();
let firstSignalAt = 0;
const onEndSignal = (): void => {
  if (!end.signal.aborted) firstSignalAt = Date.now();
  else if (Date.now() - firstSignalAt > sameKeyPressMs) endAtOnce.abort();
  end.abort();
};
process.on("SIGINT", onEndSignal);
process.on("SIGTERM", onEndSignal);

const reload = new EventTarget();
const terminals = [0, 1, 2].filter((fd) => isatty(fd));
process.on("SIGHUP", () => {
  // A terminal that is closed sends this too, and is a terminal no more.
  if (terminals.every((fd) => isatty(fd))) reload.dispatchEvent(new Event("reload"));
  else onEndSignal();
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
      reload,
    });
} catch (reason) {
  process.stderr.write(`sluice: ${reason instanceof Error ? reason.message : String(reason)}\n`);
  process.exitCode = 1;
}
