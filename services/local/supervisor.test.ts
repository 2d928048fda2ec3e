import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ChildSpec } from "./managed-child.ts";
import { createSupervisor, type Supervisor } from "./supervisor.ts";

let dir = "";
let said: string[] = [];
let lines: string[] = [];
let pids = new Map<string, number>();
let supervisor: Supervisor;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "supervisor-"));
  said = [];
  lines = [];
  pids = new Map();
  supervisor = createSupervisor({
    say: (line) => said.push(line),
    onLine: (name, line) => lines.push(`${name}: ${line}`),
    onPid: (name, pid) => (pid === undefined ? pids.delete(name) : pids.set(name, pid)),
  });
});
afterEach(async () => {
  supervisor.kill();
  await supervisor.stop(1000);
  rmSync(dir, { recursive: true });
});

/** A child that says it runs by a file, and does what `source` says. */
function child(name: string, source: string): ChildSpec {
  const mark = join(dir, name);
  const head = `const fs = require("node:fs"); const append = (word) => fs.appendFileSync(${JSON.stringify(join(dir, "log"))}, word + " ");
    const ready = () => fs.writeFileSync(${JSON.stringify(mark)}, "");`;
  return {
    name,
    command: process.execPath,
    args: ["-e", head + source],
    env: {},
    lacks: async () => (existsSync(mark) ? "" : "its file"),
  };
}

const obedient = (name: string): ChildSpec =>
  child(name, `process.on("SIGTERM", () => { append("${name}"); process.exit(0); }); setInterval(ready, 20);`);

test("children are ended in the opposite order of their stages", async () => {
  await supervisor.start([obedient("first")], 10_000);
  await supervisor.start([obedient("second"), obedient("third")], 10_000);
  await supervisor.stop(5000);
  const log = readFileSync(join(dir, "log"), "utf8").trim().split(" ");
  expect(log.toSorted()).toEqual(["first", "second", "third"]);
  expect(log.at(-1)).toBe("first");
  expect(pids.size).toBe(0);
  expect(said).toEqual([]);
});

test("a signal is handed to the child of that name", async () => {
  const listener = (name: string): ChildSpec =>
    child(name, `process.on("SIGHUP", () => console.log("heard")); setInterval(ready, 20);`);
  await supervisor.start([listener("meant"), listener("other")], 10_000);
  supervisor.pass("meant", "SIGHUP");
  await vi.waitFor(() => expect(lines).toEqual(["meant: heard"]));
});

test("what a child prints arrives line by line with its name", async () => {
  const spec = child("talker", `console.log("one\\ntwo"); console.error("three"); setInterval(ready, 20);`);
  await supervisor.start([spec], 10_000);
  await vi.waitFor(() => expect(lines.toSorted()).toEqual(["talker: one", "talker: three", "talker: two"]));
});

test("a child that dies is started again, and both are said", async () => {
  await supervisor.start([obedient("mortal")], 10_000);
  const pid = pids.get("mortal") ?? 0;
  process.kill(pid, "SIGKILL");
  await vi.waitFor(() => expect(said).toContain("mortal is back"), 10_000);
  expect(said[0]).toBe("mortal ended (SIGKILL), starting it again in 0.25 s");
  expect(pids.get("mortal")).not.toBe(pid);
});

test("a child that never becomes ready is given up after three starts", async () => {
  const starting = supervisor.start([child("broken", "process.exit(7)")], 20_000);
  await expect(starting).rejects.toThrow("broken ended 3 times before it was ready (code 7)");
  expect(said).toHaveLength(2);
});

test("a program that does not exist is given up likewise", async () => {
  const spec: ChildSpec = { name: "ghost", command: "/nowhere/ghost", args: [], env: {}, lacks: async () => "life" };
  await expect(supervisor.start([spec], 20_000)).rejects.toThrow("ghost ended 3 times before it was ready");
});

test("children that are not ready in time are named with what they lack", async () => {
  await expect(supervisor.start([child("slow", "setInterval(() => {}, 1000)")], 200)).rejects.toThrow(
    "Not ready after 0.2 s. slow: its file",
  );
});

test("a child that ignores being asked is killed after its time", async () => {
  await supervisor.start([child("deaf", `process.on("SIGTERM", () => {}); setInterval(ready, 20);`)], 10_000);
  await supervisor.stop(100);
  expect(said).toEqual(["deaf did not end in 0.1 s and is killed"]);
  expect(pids.size).toBe(0);
});
