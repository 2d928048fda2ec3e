import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileCache } from "./compile-cache.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

const main = join(import.meta.dirname, "../../services/local/main.ts");
const strange = /^(SLUICE_|ANTHROPIC_|REDIS_URL$|PORT$|NODE_OPTIONS$|VITEST)/;

/** What `npm start` brings up in an empty folder, on a port of its own. */
export interface LocalStack {
  readonly url: string;
  readonly key: string;
  /** Where it was started; its data is in `.sluice` there. */
  readonly folder: string;
  stop(): Promise<void>;
}

/** Resolves once it has printed a call to paste; `env` is all that it is told beside what every process needs. */
export async function startLocalStack(env: Readonly<Record<string, string>> = {}): Promise<LocalStack> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-local-"));
  const port = await freePort();
  const usual = Object.fromEntries(Object.entries(process.env).filter(([name]) => !strange.test(name)));
  const child = spawn(process.execPath, [main, "--port", String(port)], {
    cwd: folder,
    env: { ...usual, NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exit = once(child, "exit");
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await exit;
    await rm(folder, { recursive: true });
  };
  try {
    await eventually(
      () => {
        if (!output.includes("curl ")) throw new Error(`npm start has not said that it is ready:\n${output}`);
      },
      { timeoutMs: 45_000 },
    );
    const key = (await readFile(join(folder, ".sluice", "key"), "utf8")).trim();
    return { url: `http://127.0.0.1:${port}`, key, folder, stop };
  } catch (reason) {
    await stop();
    throw reason;
  }
}
