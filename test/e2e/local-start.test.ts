import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { compileCache } from "../support/compile-cache.ts";
import { freePort } from "../support/free-port.ts";

const root = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);

/** Ended, if it still runs, when it is disposed of. */
interface Local extends AsyncDisposable {
  readonly output: () => string;
  readonly exit: Promise<[code: number | null, signal: string | null]>;
  readonly process: ChildProcess;
}

let dir = "";
let port = 0;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "local-start-"));
  port = await freePort();
});
afterAll(async () => {
  await rm(dir, { recursive: true });
});

/** Starts everything as `npm start` does, on a machine where nothing is configured. */
function startLocal(args: readonly string[]): Local {
  const strange = /^(SLUICE_|ANTHROPIC_|REDIS_URL$|PORT$|NODE_OPTIONS$|VITEST)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !strange.test(name)));
  const child = spawn(process.execPath, [join(root, "services/local/main.ts"), "--data", join(dir, "data"), ...args], {
    cwd: dir,
    env: { ...env, NODE_COMPILE_CACHE: compileCache },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const exit = once(child, "exit") as Local["exit"];
  return {
    output: () => output,
    exit,
    process: child,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exit;
    },
  };
}

async function says(local: Local, words: string): Promise<void> {
  await vi.waitFor(
    () => {
      expect(local.output()).toContain(words);
    },
    { timeout: 45_000, interval: 50 },
  );
}

interface Answer {
  readonly requestId: string;
  readonly body: Record<string, unknown>;
}

/** Runs the line that is printed for pasting. */
async function pasteCall(local: Local): Promise<Answer> {
  const line = /^ *(curl .*)$/m.exec(local.output())?.[1] ?? "false";
  const { stdout } = await run("bash", ["-c", `${line} --silent --show-error --include --max-time 20`]);
  const [head = "", body = ""] = stdout.split(/\r\n\r\n(?=\{)/);
  return {
    requestId: /^x-sluice-request-id: (\S+)/im.exec(head)?.[1] ?? "",
    body: JSON.parse(body) as Record<string, unknown>,
  };
}

async function childPids(): Promise<Record<string, number>> {
  const text = await readFile(join(dir, "data", "run", "local.json"), "utf8");
  return (JSON.parse(text) as { children: Record<string, number> }).children;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("npm start with nothing configured", () => {
  let local: Local;
  let requestId = "";
  let key = "";
  beforeAll(async () => {
    local = startLocal(["--port", String(port)]);
    await says(local, "Sluice is ready.");
  }, 60_000);
  afterAll(() => local[Symbol.asyncDispose]());

  test("brings everything up and prints a call that works, and how to end it", async () => {
    expect(local.output()).toContain(`URL      http://127.0.0.1:${port}\n`);
    expect(local.output()).toContain("Ctrl-C ends it all.");
    key = (await readFile(join(dir, "data", "key"), "utf8")).trim();
    expect(local.output()).toContain(`key      ${key}`);
    expect((await stat(join(dir, "data", "key"))).mode & 0o777).toBe(0o600);
    const answer = await pasteCall(local);
    expect(answer.body).toMatchObject({ type: "message", role: "assistant" });
    requestId = answer.requestId;
    local.process.kill("SIGHUP");
    await says(local, "keys and issuers reloaded; other changes need a restart");
  });

  test("a second start on the same data is refused", async () => {
    await using second = startLocal(["--port", String(port)]);
    expect(await second.exit).toEqual([1, null]);
    expect(second.output()).toContain(`Sluice is running here already (process ${local.process.pid})`);
  });

  test("Ctrl-C says what is waited for, lets an open call have its answer, and leaves nothing behind", async () => {
    const pids = await childPids();
    expect(Object.keys(pids).toSorted()).toEqual(["dispatcher", "gateway", "redis", "simulator", "worker"]);
    const answer = fetch(`http://127.0.0.1:${port}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": key },
      body: JSON.stringify({
        model: "claude-sonnet-5-5",
        max_tokens: 1024,
        stream: true,
        messages: [{ role: "user", content: "[sim: tokens=60 rate=20] Count" }],
      }),
    });
    expect((await answer).status).toBe(200);
    local.process.kill("SIGINT");
    // npm hands the same key press on a second time.
    local.process.kill("SIGINT");
    await says(local, "waiting for calls to finish, at most 600 s; Ctrl-C again ends it at once");
    expect(await (await answer).text()).toContain("event: message_stop");
    expect(await local.exit).toEqual([0, null]);
    expect(Object.entries(pids).filter(([, pid]) => isAlive(pid))).toEqual([]);
    expect(local.output()).not.toContain("is killed");
  });

  test("a later start keeps key and data, starts as many as asked for, and restarts what dies", async () => {
    await using next = startLocal(["--port", String(port), "--workers", "3", "--dispatchers", "2"]);
    await says(next, "Sluice is ready.");
    expect(next.output()).toContain(`key      ${key}`);
    const trace = await fetch(`http://127.0.0.1:${port}/v1/requests/${requestId}`, {
      headers: { "x-api-key": key },
    });
    expect(trace.status).toBe(200);

    const pids = await childPids();
    expect(Object.keys(pids)).toHaveLength(8);
    process.kill(pids["worker-2"] ?? 0, "SIGKILL");
    await says(next, "worker-2 is back");
    expect((await pasteCall(next)).body).toMatchObject({ type: "message" });
    process.kill(pids["dispatcher-1"] ?? 0, "SIGKILL");
    process.kill(pids["redis"] ?? 0, "SIGKILL");
    await says(next, "dispatcher-1 is back");
    await says(next, "redis is back");
    await vi.waitFor(async () => expect((await pasteCall(next)).body).toMatchObject({ type: "message" }), 45_000);
    next.process.kill("SIGTERM");
    expect(await next.exit).toEqual([0, null]);
  });
});

test("nobody reading the output any more ends it", async () => {
  await using local = startLocal(["--port", String(port)]);
  await says(local, "Sluice is ready.");
  local.process.stdout?.destroy();
  local.process.kill("SIGHUP");
  expect(await local.exit).toEqual([0, null]);
});

test("a taken port is said with its number and the way to another one", async () => {
  const squatter = createServer().listen(port, "127.0.0.1");
  await once(squatter, "listening");
  await using local = startLocal(["--port", String(port)]);
  expect(await local.exit).toEqual([1, null]);
  squatter.close();
  expect(local.output()).toContain(`Port ${port} of 127.0.0.1 is taken by another program.`);
  expect(local.output()).toContain(`npm start -- --port ${port + 1}, or PORT`);
});

test("a fault in the command line is said in words", async () => {
  await using local = startLocal(["--workers", "none"]);
  expect(await local.exit).toEqual([1, null]);
  expect(local.output()).toBe('sluice: --workers takes a whole number from 1 to 64, not "none".\n');
});
