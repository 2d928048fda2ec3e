import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { runTool } from "./run-tool.ts";

/** A Redis server that can be started: the program, and what its environment needs on top of ours. */
export interface RedisBinary {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

const tree = "redis-server";

/** The Redis that `downloadRedis` unpacked below `dir` earlier, if it is there. */
export async function unpackedRedis(dir: string): Promise<RedisBinary | undefined> {
  const root = resolve(dir, tree);
  const command = join(root, "usr/bin/redis-server");
  try {
    await access(command);
  } catch {
    return undefined;
  }
  return { command, env: { LD_LIBRARY_PATH: (await libraryFolders(root)).join(":") } };
}

/**
 * Downloads the distribution's Redis packages and unpacks them below `dir`: no root, nothing installed, apart from
 * `dir` nothing written. Works on Debian and Ubuntu.
 */
export async function downloadRedis(dir: string, say: (line: string) => void): Promise<RedisBinary> {
  const part = resolve(dir, `${tree}.part`);
  await rm(part, { recursive: true, force: true });
  const packages = join(part, "packages");
  await mkdir(packages, { recursive: true });
  say(`There is no Redis on the PATH: downloading the distribution's redis-server into ${resolve(dir, tree)}`);
  say("(about 1.5 MB, nothing is installed; --no-download refuses this).");
  const apt = await createApt(part, packages);
  await apt.download(["redis-server", "redis-tools"]);
  await downloadLibraries(apt, packages);
  const root = join(part, "root");
  for (const file of await packageFiles(packages)) await runTool("dpkg", ["-x", join(packages, file), root]);
  await rm(resolve(dir, tree), { recursive: true, force: true });
  await rename(root, resolve(dir, tree));
  await rm(part, { recursive: true, force: true });
  const binary = await unpackedRedis(dir);
  if (!binary) throw new Error("the packages hold no redis-server");
  return binary;
}

interface Apt {
  /** Puts the packages' files into the folder of packages. */
  download(names: readonly string[]): Promise<void>;
}

/** apt-get with the system's package lists, or with lists of its own where the system has none yet (fresh containers). */
async function createApt(part: string, packages: string): Promise<Apt> {
  const cache = join(part, "apt-cache");
  const lists = join(part, "apt-lists");
  const own = ["-o", `Dir::Cache=${cache}`, "-o", `Dir::State::Lists=${lists}`, "-o", "APT::Sandbox::User="];
  await mkdir(join(cache, "archives/partial"), { recursive: true });
  await mkdir(join(lists, "partial"), { recursive: true });
  let options = own.slice(0, 2);
  return {
    download: async (names) => {
      try {
        await runTool("apt-get", [...options, "-q", "download", ...names], { cwd: packages });
      } catch (reason) {
        if (options === own) throw reason;
        options = own;
        await runTool("apt-get", [...own, "-q", "update"]);
        await runTool("apt-get", [...own, "-q", "download", ...names], { cwd: packages });
      }
    },
  };
}

/** Downloads the libraries that the packages in the folder name and this machine does not have, and theirs in turn. */
async function downloadLibraries(apt: Apt, packages: string): Promise<void> {
  const seen = new Set<string>();
  const read = new Set<string>();
  for (;;) {
    const files = (await packageFiles(packages)).filter((file) => !read.has(file));
    if (files.length === 0) return;
    for (const file of files) {
      read.add(file);
      const depends = await runTool("dpkg-deb", ["-f", join(packages, file), "Pre-Depends", "Depends"]);
      for (const name of libraryNames(depends)) {
        if (seen.has(name)) continue;
        seen.add(name);
        // A library that cannot be had is noticed when the server is tried.
        if (!(await isInstalled(name))) await apt.download([name]).catch(() => undefined);
      }
    }
  }
}

/** The libraries among a package's dependencies; of alternatives the first. */
export function libraryNames(depends: string): string[] {
  return depends
    .replaceAll(/^[\w-]+: /gm, "")
    .split(/[,\n]/)
    .map(
      (entry) =>
        entry
          .split("|")[0]
          ?.trim()
          .split(/[\s:(]/)[0] ?? "",
    )
    .filter((name) => /^(lib|lua-)/.test(name));
}

async function isInstalled(name: string): Promise<boolean> {
  try {
    return (await runTool("dpkg-query", ["-W", "-f", "${Status}", name])).includes("ok installed");
  } catch {
    return false;
  }
}

async function packageFiles(packages: string): Promise<string[]> {
  return (await readdir(packages)).filter((file) => file.endsWith(".deb"));
}

/** Where shared libraries lie in an unpacked tree: `usr/lib`, `lib` and their folders per architecture. */
async function libraryFolders(root: string): Promise<string[]> {
  const folders: string[] = [];
  for (const base of ["usr/lib", "lib"]) {
    const folder = join(root, base);
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    folders.push(folder, ...entries.filter((entry) => entry.name.includes("-linux-")).map((e) => join(folder, e.name)));
  }
  return folders;
}
