import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { takeRunFile, type RunFileOptions } from "./run-file.ts";

let dir = "";
let said: string[] = [];
let options: RunFileOptions;
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "run-file-"));
  said = [];
  options = { file: join(dir, "run", "local.json"), marks: [join(dir, "mark")], say: (line) => said.push(line) };
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

async function sleeper(mark: string): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", mark]);
  children.push(child);
  await once(child, "spawn");
  return Object.assign(child, { pid: child.pid ?? 0 });
}

test("the file is there while it is held, and can be taken again afterwards", async () => {
  const held = await takeRunFile(options);
  expect(existsSync(options.file)).toBe(true);
  held.close();
  expect(existsSync(options.file)).toBe(false);
  (await takeRunFile(options)).close();
});

test("a second start is refused while the first is alive", async () => {
  const first = await sleeper(join(dir, "mark"));
  (await takeRunFile(options)).close();
  writeFileSync(options.file, JSON.stringify({ supervisor: first.pid, children: {} }));
  await expect(takeRunFile(options)).rejects.toThrow(
    `Sluice is running here already (process ${first.pid}); npm start -- --data DIR --port 8081 starts another one.`,
  );
});

test("what an earlier start left behind is ended, strangers are left alone", async () => {
  const ours = await sleeper(join(dir, "mark"));
  const stranger = await sleeper("stranger");
  const held = await takeRunFile(options);
  held.close();
  writeFileSync(options.file, JSON.stringify({ supervisor: stranger.pid, children: { a: ours.pid, b: stranger.pid } }));
  const ended = once(ours, "exit");
  await takeRunFile(options);
  expect(await ended).toEqual([null, "SIGTERM"]);
  expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  expect(said).toEqual([`a of an earlier start is still there (process ${ours.pid}) and is ended`]);
});

test("a file that cannot be read is no obstacle", async () => {
  (await takeRunFile(options)).close();
  writeFileSync(options.file, "{");
  await takeRunFile(options);
  expect(existsSync(options.file)).toBe(true);
});
