import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { readiness } from "./run-service.ts";

interface Child {
  readonly process: ChildProcess;
  /** Everything it logged. */
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** Runs a service whose start has this body; `held` is a handle that keeps the process alive until it is closed. */
function runChild(startBody: string, options = "{}"): Child {
  const script = `
    import { createServer } from "node:http";
    import { runService } from "#shared/runtime/run-service.ts";
    const start = async (context) => { ${startBody} };
    const defaults = { ops: { host: "127.0.0.1", port: 0 }, drainMs: 60000, logLevel: "info" };
    await runService("gateway", start, { ...defaults, ...${options} });
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exit = once(child, "close").then(([code]) => code as number | null);
  return { process: child, output: () => output, exit };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const logged = (child: Child, text: string): Promise<void> =>
  vi.waitFor(() => expect(child.output()).toContain(text), { timeout: 30_000, interval: 10 });

const heldServer = `
  const server = createServer().listen(0, "127.0.0.1");
  context.own({ close: () => { context.logger.info("server closed"); server.close(); } });
`;

test("SIGTERM drains, closes what is owned in reverse, and exits 0", async () => {
  const child = runChild(`
    ${heldServer}
    context.own({ close: () => context.logger.info("later resource closed") });
    return { ready: () => true, drain: async () => {
      context.logger.info({ aborted: context.signal.aborted }, "drain called");
      await new Promise((resolve) => setTimeout(resolve, 50));
      context.logger.info("drain over");
    } };
  `);
  await logged(child, '"msg":"ready"');
  child.process.kill("SIGTERM");
  expect(await child.exit).toBe(0);
  const messages = child.output().match(/(?<="msg":")[^"]*/g);
  expect(messages).toEqual([
    "starting",
    "ready",
    "draining",
    "drain called",
    "drain over",
    "later resource closed",
    "server closed",
    "stopped",
  ]);
  expect(child.output()).toContain('"aborted":true');
});

test("a second signal ends a drain at once with 1", async () => {
  const child = runChild(`${heldServer} return { ready: () => true, drain: () => new Promise(() => undefined) };`);
  await logged(child, '"msg":"ready"');
  child.process.kill("SIGTERM");
  await logged(child, '"msg":"draining"');
  child.process.kill("SIGINT");
  expect(await child.exit).toBe(1);
});

test("a drain that takes too long is told to hand back, and the exit is still 0", async () => {
  const child = runChild(
    `${heldServer} return { ready: () => true, drain: (signal) => new Promise((resolve) => {
      signal.addEventListener("abort", () => { context.logger.info("handed back"); resolve(); });
    }) };`,
    "{ drainMs: 50 }",
  );
  await logged(child, '"msg":"ready"');
  child.process.kill("SIGTERM");
  expect(await child.exit).toBe(0);
  expect(child.output()).toContain("handed back");
});

test("a start that fails closes what was opened and exits 1", async () => {
  const child = runChild(`${heldServer} throw new Error("no Redis");`);
  expect(await child.exit).toBe(1);
  expect(child.output()).toContain("no Redis");
  expect(child.output()).toContain("server closed");
});

test("a start that is told to stop exits 0", async () => {
  const child = runChild(`
    ${heldServer}
    await new Promise((resolve, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason)));
  `);
  await logged(child, '"msg":"starting"');
  child.process.kill("SIGTERM");
  expect(await child.exit).toBe(0);
});

test("an unhandled rejection is logged and exits 1", async () => {
  const child = runChild(`
    ${heldServer}
    setImmediate(() => void Promise.reject(new Error("forgotten promise")));
    return { ready: () => true, drain: async () => {} };
  `);
  expect(await child.exit).toBe(1);
  expect(child.output()).toContain("forgotten promise");
});

test("what a library left open does not keep a drained process", async () => {
  const child = runChild(`
    setInterval(() => {}, 1000);
    return { ready: () => true, drain: async () => {} };
  `);
  await logged(child, '"msg":"ready"');
  child.process.kill("SIGTERM");
  expect(await child.exit).toBe(0);
  expect(child.output()).toContain("still open");
});

test("SIGHUP reloads, and a reload that fails changes nothing", async () => {
  const child = runChild(
    `${heldServer} return { ready: () => true, drain: async () => {} };`,
    `{ reload: () => { if ((globalThis.times = (globalThis.times ?? 0) + 1) === 2) throw new Error("bad file"); } }`,
  );
  await logged(child, '"msg":"ready"');
  child.process.kill("SIGHUP");
  await logged(child, "keys and issuers reloaded; other changes need a restart");
  child.process.kill("SIGHUP");
  await logged(child, "bad file");
  child.process.kill("SIGTERM");
  expect(await child.exit).toBe(0);
});

test("a reload that finds faults prints them as a start does", async () => {
  const child = runChild(
    `
      const { ConfigError } = await import("#shared/config/config-error.ts");
      globalThis.fault = new ConfigError([{ path: "keys[0]", message: "needs a key" }]);
      ${heldServer} return { ready: () => true, drain: async () => {} };
    `,
    `{ reload: () => { throw globalThis.fault; } }`,
  );
  await logged(child, '"msg":"ready"');
  child.process.kill("SIGHUP");
  await logged(child, "The configuration has a fault:\n  keys[0]: needs a key\n");
  await logged(child, "reload failed");
  expect(child.output()).not.toContain("stack");
  child.process.kill("SIGTERM");
  expect(await child.exit).toBe(0);
});

test("the ops server is alive from the beginning, ready after the start, and red while draining", async () => {
  const port = await freePort();
  const child = runChild(
    `
      ${heldServer}
      const get = async (path) => (await fetch("http://127.0.0.1:" + opsPort + path)).status;
      const opsPort = ${port};
      context.logger.info({ live: await get("/livez"), ready: await get("/readyz") }, "while starting");
      setTimeout(async () => context.logger.info({ ready: await get("/readyz") }, "when started"), 20);
      return { ready: () => [], drain: async () => context.logger.info({ ready: await get("/readyz") }, "while draining") };
    `,
    `{ ops: { host: "127.0.0.1", port: ${port} } }`,
  );
  await logged(child, "when started");
  child.process.kill("SIGTERM");
  expect(await child.exit).toBe(0);
  expect(child.output()).toMatch(/"live":200,"ready":503,"msg":"while starting"/);
  expect(child.output()).toMatch(/"ready":200,"msg":"when started"/);
  expect(child.output()).toMatch(/"ready":503,"msg":"while draining"/);
});

describe("readiness", () => {
  const running = new AbortController().signal;
  const service = (ready: boolean | string[]): { ready: () => boolean | string[]; drain: () => Promise<void> } => ({
    ready: () => ready,
    drain: () => Promise.resolve(),
  });

  test.each([
    ["starting", undefined, running, ["starting"]],
    ["draining", service(true), AbortSignal.abort(), ["draining"]],
    ["ready", service(true), running, true],
    ["ready without reasons", service([]), running, true],
    ["unready for a reason", service(["redis: policy"]), running, ["redis: policy"]],
    ["unready for none", service(false), running, ["not ready"]],
  ])("a process that is %s", (...[, state, draining, expected]) => {
    expect(readiness({ service: state, draining })).toEqual(expected);
  });
});
