import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { downloadRedis, type RedisBinary, unpackedRedis } from "./download-redis.ts";
import { runTool } from "./run-tool.ts";

export interface EnsureRedisOptions {
  /** Folder that a downloaded Redis is unpacked below. */
  readonly dir: string;
  /** The PATH to look on. */
  readonly searchPath: string;
  readonly allowDownload: boolean;
  /** Tells the person at the screen what is being done. */
  readonly say: (line: string) => void;
}

/**
 * A Redis server program: `redis-server` or `valkey-server` on the PATH, one unpacked earlier, or else the
 * distribution's package, downloaded and unpacked below `dir` without touching the system. Rejects with a message that
 * says what to do.
 */
export async function ensureRedisBinary(options: EnsureRedisOptions): Promise<RedisBinary> {
  for (const name of ["redis-server", "valkey-server"]) {
    const command = await findOnPath(name, options.searchPath);
    if (command) return { command, env: {} };
  }
  const kept = await unpackedRedis(options.dir);
  if (kept && (await works(kept))) return kept;
  const wayOut = `Give a Redis by REDIS_URL, or install one: ${installLine(process.platform)}`;
  if (!options.allowDownload)
    throw new Error(`There is no redis-server or valkey-server on the PATH, and --no-download was given. ${wayOut}`);
  if (!(await findOnPath("apt-get", options.searchPath)) || !(await findOnPath("dpkg", options.searchPath)))
    throw new Error(
      `There is no redis-server or valkey-server on the PATH, and only Debian's and Ubuntu's can be downloaded. ${wayOut}`,
    );
  try {
    const binary = await downloadRedis(options.dir, options.say);
    await runTool(binary.command, ["--version"], { env: { ...binary.env } });
    return binary;
  } catch (reason) {
    const words = reason instanceof Error ? reason.message : String(reason);
    throw new Error(`Redis could not be downloaded (${words}). ${wayOut}`, { cause: reason });
  }
}

async function works(binary: RedisBinary): Promise<boolean> {
  try {
    await runTool(binary.command, ["--version"], { env: { ...binary.env } });
    return true;
  } catch {
    return false;
  }
}

async function findOnPath(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(delimiter)) {
    if (folder === "") continue;
    const file = join(folder, name);
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

function installLine(platform: NodeJS.Platform): string {
  if (platform === "darwin") return "brew install redis";
  if (platform === "win32") return "in WSL, sudo apt-get install redis-server";
  return "sudo apt-get install redis-server, sudo dnf install valkey, or sudo apk add redis";
}
