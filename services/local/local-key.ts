import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * The key callers use on this machine: read from `file`, or made and written there, readable by its owner only.
 * `isNew` says which.
 */
export async function localKey(file: string): Promise<{ readonly key: string; readonly isNew: boolean }> {
  const kept = await readKey(file);
  if (kept) return { key: kept, isNew: false };
  const key = `sk-sluice-${randomBytes(24).toString("base64url")}`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, `${key}\n`, { mode: 0o600 });
  return { key, isNew: true };
}

async function readKey(file: string): Promise<string | undefined> {
  try {
    const key = (await readFile(file, "utf8")).trim();
    // Somebody may have copied the folder about; the key must not become readable by that.
    await chmod(file, 0o600);
    return key === "" ? undefined : key;
  } catch (reason) {
    if (reason instanceof Error && "code" in reason && reason.code === "ENOENT") return undefined;
    throw reason;
  }
}
