import { readFile, rm } from "node:fs/promises";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { runTool } from "./run-tool.ts";

/** Who runs on a data folder: kept in a file, so that a second start is refused and leftovers of a killed one are ended. */
export interface RunFile {
  /** A child was started, or ended (undefined). */
  readonly note: (name: string, pid: number | undefined) => void;
  close(): void;
}

export interface RunFileOptions {
  readonly file: string;
  /** Part of the command line by which a process is known to be ours: a process id may belong to a stranger by now. */
  readonly marks: readonly string[];
  readonly say: (line: string) => void;
}

interface Content {
  readonly supervisor: number;
  readonly children: Readonly<Record<string, number>>;
}

/** Rejects when another start on the same folder is alive. */
export async function takeRunFile(options: RunFileOptions): Promise<RunFile> {
  const { file, marks } = options;
  const before = await readContent(file);
  if (before) {
    if (before.supervisor !== process.pid && (await isOurs(before.supervisor, marks)))
      throw new Error(
        `Sluice is running here already (process ${before.supervisor}); npm start -- --data DIR --port 8081 starts another one.`,
      );
    await endLeftovers(before, options);
  }
  const children: Record<string, number> = {};
  const write = (): void => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.part`, JSON.stringify({ supervisor: process.pid, children } satisfies Content));
    renameSync(`${file}.part`, file);
  };
  write();
  return {
    note: (name, pid) => {
      if (pid === undefined) delete children[name];
      else children[name] = pid;
      write();
    },
    close: () => rmSync(file, { force: true }),
  };
}

async function endLeftovers(before: Content, { marks, say }: RunFileOptions): Promise<void> {
  for (const [name, pid] of Object.entries(before.children)) {
    if (!(await isOurs(pid, marks))) continue;
    say(`${name} of an earlier start is still there (process ${pid}) and is ended`);
    process.kill(pid, "SIGTERM");
    for (let waitedMs = 0; waitedMs < 5000 && (await isOurs(pid, marks)); waitedMs += 50)
      await new Promise((wake) => setTimeout(wake, 50));
    if (await isOurs(pid, marks)) process.kill(pid, "SIGKILL");
  }
}

async function readContent(file: string): Promise<Content | undefined> {
  try {
    const value = JSON.parse(await readFile(file, "utf8")) as Partial<Content>;
    const numbers = Object.entries(value.children ?? {}).filter(([, pid]) => Number.isInteger(pid));
    return { supervisor: Number(value.supervisor), children: Object.fromEntries(numbers) };
  } catch {
    await rm(file, { force: true });
    return undefined;
  }
}

async function isOurs(pid: number, marks: readonly string[]): Promise<boolean> {
  const line = await commandLine(pid);
  return marks.some((mark) => line.includes(mark));
}

/** The command line of a living process, else the empty string. */
async function commandLine(pid: number): Promise<string> {
  try {
    process.kill(pid, 0);
  } catch {
    return "";
  }
  try {
    return (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
  } catch {
    return await runTool("ps", ["-o", "command=", "-p", String(pid)]).catch(() => "");
  }
}
