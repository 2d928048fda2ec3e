import { UsageError } from "./usage-error.ts";

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  ENOTDIR: "a part of its path is no folder",
  EISDIR: "it is a folder",
  EACCES: "it is not allowed",
  EPERM: "it is not allowed",
  EROFS: "nothing can be written there",
};

/** A file that was named and cannot be opened is a fault of the command line; what is none of those comes back as it is. */
export function fileFault(act: "read" | "write", file: string, cause: unknown): unknown {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const why = words[code];
  return why === undefined ? cause : new UsageError(`cannot ${act} ${file}: ${why} (${code}).`, { cause });
}
