import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Values that are to be of a type which the declarations name. */
export interface TypedValues {
  readonly type: string;
  readonly values: readonly unknown[];
}

export interface TypeFault {
  readonly type: string;
  readonly value: unknown;
  /** The compiler's words. */
  readonly says: string;
}

const options = {
  strict: true,
  exactOptionalPropertyTypes: false,
  noEmit: true,
  target: "es2025",
  lib: ["es2025", "dom", "dom.iterable"],
  module: "nodenext",
  types: ["node"],
  skipLibCheck: true,
  noErrorTruncation: true,
} as const;

/**
 * What the compiler says against values as literals of a vendor's own types: members that the type does not know, those
 * that are missing, words that are none of its words. One run of it for all of them.
 */
export function typeFaults(declarations: string, given: readonly TypedValues[]): TypeFault[] {
  const lines = given.flatMap(({ type, values }) => values.map((value) => ({ type, value })));
  const folder = mkdtempSync(join(tmpdir(), "type-faults-"));
  try {
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "dir");
    const source = lines.map(({ type, value }) => `(${literal(value)}) satisfies ${type};`);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(folder, "declarations.ts"), declarations);
    writeFileSync(join(folder, "values.ts"), [importOf(given), ...source, ""].join("\n"));
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["values.ts"] }));
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    const run = spawnSync(process.execPath, [compiler, "--pretty", "false", "-p", folder], {
      cwd: folder,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    });
    return readFaults(run, lines);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** On one line, by which its fault is found again. */
function literal(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll("\u2028", String.raw`\u2028`)
    .replaceAll("\u2029", String.raw`\u2029`);
}

function importOf(given: readonly TypedValues[]): string {
  return `import type { ${[...new Set(given.map(({ type }) => type))].join(", ")} } from "./declarations.ts";`;
}

interface Line {
  readonly type: string;
  readonly value: unknown;
}

function readFaults(
  { stdout, stderr, status }: { readonly stdout: string; readonly stderr: string; readonly status: number | null },
  lines: readonly Line[],
): TypeFault[] {
  const faults: TypeFault[] = [];
  for (const [, number, says = ""] of stdout.matchAll(/^values\.ts\((\d+),\d+\): error (.*(?:\n .*)*)/gm)) {
    const line = lines[Number(number) - 2];
    if (!line) throw new Error(says);
    faults.push({ ...line, says });
  }
  if (status !== 0 && faults.length === 0) throw new Error(stdout + stderr);
  return faults;
}
