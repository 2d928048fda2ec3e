import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Where a command writes, and what it may know of its surroundings. */
export interface Terminal {
  /** Results: what a script reads. */
  out(text: string): void;
  /** The same for more than fits in memory; resolves when all of it was taken. */
  pour(bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** What is told beside them: progress, hints. */
  note(line: string): void;
  /** One line in place of the latest, on a terminal only. */
  redraw(line: string): void;
  /** Whether notes go to a terminal. */
  readonly isLive: boolean;
  readonly columns: number;
}

type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

const clearLine = "\r\u001B[2K";

/** A terminal on the process's streams; without one nothing is ever redrawn. */
export function createTerminal(stdout: Output, stderr: Output): Terminal {
  const isLive = stderr.isTTY === true;
  let isDrawn = false;
  function clear(): void {
    if (isDrawn) stderr.write(clearLine);
    isDrawn = false;
  }
  return {
    out(text) {
      clear();
      stdout.write(text);
    },
    async pour(bytes) {
      clear();
      await pipeline(bytes, stdout, { end: false });
    },
    note(line) {
      clear();
      stderr.write(`${line}\n`);
    },
    redraw(line) {
      if (!isLive) return;
      stderr.write(`${clearLine}${line}`);
      isDrawn = true;
    },
    isLive,
    get columns() {
      return stderr.columns ?? 80;
    },
  };
}
