import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { createLogger } from "#shared/telemetry/logger.ts";
import { eventually } from "../support/eventually.ts";
import { createSessionKit, makeCall, never, okOutcome, silent } from "./fixtures/session-kit.ts";

const kit = createSessionKit();
afterEach(() => kit.close());

const keep = { signal: never, keepOrphan: true };

async function namedWorker(name: string, listen = "127.0.0.1:0") {
  return kit.worker({ invoke: async () => okOutcome({ name }) }, { listen });
}

test("a worker that joins a DNS name is used, and one that leaves it is closed once its calls are done", async () => {
  const first = await namedWorker("first", "127.0.0.1:0");
  const port = first.address.split(":")[1] ?? "";
  const release = Promise.withResolvers<void>();
  let addresses = ["127.0.0.1"];
  const pool = kit.pool(`dns:///worker:${port}`, { resolveEveryMs: 50, lookupHost: async () => addresses });
  await pool.ready(never);
  const second = await kit.worker(
    {
      async invoke() {
        await release.promise;
        return okOutcome({ name: "second" });
      },
    },
    { listen: `127.0.0.2:${port}` },
  );
  addresses = ["127.0.0.1", "127.0.0.2"];
  await eventually(() => expect(pool.size).toBe(2));
  const outcomes = Promise.all(Array.from({ length: 10 }, () => pool.invoke(makeCall(), keep)));
  await eventually(() => expect(second.calls).toBeGreaterThan(0));
  addresses = ["127.0.0.1"];
  await eventually(() => expect(pool.size).toBe(1));
  release.resolve();
  const names = (await outcomes).map(({ body }) => body.toString());
  expect(new Set(names)).toEqual(new Set(['{"name":"first"}', '{"name":"second"}']));
  addresses = [];
  await eventually(() => expect(pool.size).toBe(0));
});

test("a worker that is not up yet is waited for, and only later missed", async () => {
  const lines: { level: string; msg: string; detail?: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const place = await namedWorker("gone");
  const { address } = place;
  await place.close();
  kit.pool(address, { logger: createLogger({ name: "gateway", destination }) });
  await eventually(() => expect(lines[0]).toMatchObject({ level: "info", msg: "waiting for worker" }));
  await eventually(() => expect(lines.at(-1)).toMatchObject({ level: "warn", msg: "no session with worker" }));
  expect(lines).toHaveLength(2);
  expect(lines[1]?.detail).toMatch(/ECONNREFUSED [\d.:]+$/);
});

test("calls go to the least loaded worker, those of other clients counted", async () => {
  const release = Promise.withResolvers<void>();
  const gate = { invoke: () => release.promise.then(() => okOutcome({})) };
  const busy = await kit.worker(gate);
  const free = await kit.worker(gate);
  const other = kit.pool(busy.address);
  const pool = kit.pool(`${busy.address},${free.address}`);
  await eventually(() => expect(pool.size).toBe(2));
  const theirs = Array.from({ length: 5 }, () => other.invoke(makeCall(), keep));
  await eventually(() => expect(busy.calls).toBe(5));
  const ours: Promise<unknown>[] = [];
  // The report comes every 250 ms: from then on the other worker is given the calls.
  await eventually(() => {
    ours.push(pool.invoke(makeCall(), keep));
    expect(pool.size).toBe(2);
    // Who counts nobody's but its own calls gives each as many as the other.
    expect(free.calls - (busy.calls - theirs.length)).toBeGreaterThan(3);
  });
  release.resolve();
  await Promise.all([...theirs, ...ours]);
});

test("two addresses of one worker count once", async () => {
  const worker = await namedWorker("only", "0.0.0.0:0");
  const port = worker.address.split(":")[1] ?? "";
  const pool = kit.pool(`127.0.0.1:${port},127.0.0.2:${port}`);
  await pool.ready(never);
  await pool.invoke(makeCall(), keep);
  expect(pool.size).toBe(1);
});

test("a wrong token is refused and logged, and the pool goes on trying", async () => {
  const lines: string[] = [];
  const logger = createLogger({ name: "test", destination: { write: (line) => void lines.push(line) } });
  const worker = await namedWorker("guarded");
  const pool = kit.pool(worker.address, { token: "wrong", logger });
  await eventually(() => expect(lines.join("")).toContain("worker refuses this session: check workers.token"));
  expect(lines.join("")).not.toContain("a token of the test");
  expect(pool.size).toBe(0);
  await worker.close();
  await kit.worker({}, { listen: worker.address, token: "wrong" });
  await pool.ready(never);
});

test("a worker does not listen beyond loopback unguarded", async () => {
  await expect(kit.worker({}, { listen: "0.0.0.0:0", token: "" })).rejects.toThrow("set workers.token or workers.tls");
  const open = await kit.worker({}, { listen: "127.0.0.1:0", token: "" });
  const pool = kit.pool(open.address, { token: "" });
  await pool.invoke(makeCall(), keep);
});

test("the socket file of a killed worker is taken over, a living one's is not", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-"));
  const listen = `unix:${join(directory, "worker.sock")}`;
  const script = `require("node:net").createServer().listen(${JSON.stringify(listen.slice(5))}, () => process.kill(process.pid, "SIGKILL"))`;
  await promisify(execFile)(process.execPath, ["-e", script]).catch(() => undefined);
  const worker = await namedWorker("heir", listen);
  await expect(namedWorker("rival", listen)).rejects.toThrow("cannot listen on");
  await kit.pool(worker.address).invoke(makeCall(), keep);
  await kit.close();
  rmSync(directory, { recursive: true });
});

test("with TLS both sides prove themselves, the worker by the name that was asked for", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-"));
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): Buffer => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  const fresh = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"];
  openssl("req", "-x509", ...fresh, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem");
  openssl("req", "-x509", ...fresh, "-subj", "/CN=stranger", "-keyout", "stranger.key", "-out", "stranger.pem");
  const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:worker"];
  openssl("req", "-x509", ...fresh, ...signed, "-subj", "/CN=worker", "-keyout", "worker.key", "-out", "worker.pem");
  const tls = { ca: file("ca.pem"), cert: file("worker.pem"), key: file("worker.key") };
  const worker = await kit.worker({}, { listen: "0.0.0.0:0", token: "", tls });
  const port = worker.address.split(":")[1] ?? "";
  const address = `dns:///worker:${port}`;
  const lookupHost = async () => ["127.0.0.1"];
  const pool = kit.pool(address, { token: "", tls, lookupHost });
  await pool.invoke(makeCall(), keep);
  const stranger = { ca: file("ca.pem"), cert: file("stranger.pem"), key: file("stranger.key") };
  const others = [
    kit.pool(address, { token: "", tls: stranger, lookupHost }),
    kit.pool(address, { token: "", lookupHost }),
    kit.pool(`dns:///impostor:${port}`, { token: "", tls, lookupHost }),
  ];
  const refused = await Promise.allSettled(others.map((other) => other.invoke(makeCall(), keep)));
  expect(refused.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  await kit.close();
  rmSync(directory, { recursive: true });
});

test("a process that closes its pool and its worker ends by itself", async () => {
  const script = fileURLToPath(new URL("fixtures/pool-process.ts", import.meta.url));
  // Else it is ended, and the promise rejected.
  const ended = promisify(execFile)(process.execPath, [script], { timeout: 50_000 });
  await expect(ended).resolves.toBeDefined();
  silent.flush();
});
