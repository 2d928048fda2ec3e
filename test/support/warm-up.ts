import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { compileCache } from "./compile-cache.ts";

const services = join(import.meta.dirname, "../../services");

/**
 * Runs once before the suites of a project: loads each process once and lets it end for want of a config. Node writes
 * its compile cache when a process ends, and files that start together would all compile the same.
 */
export async function setup(): Promise<void> {
  await Promise.all(["gateway", "worker", "dispatcher", "simulator"].map(load));
}

async function load(role: string): Promise<void> {
  const env = {
    PATH: process.env["PATH"],
    NODE_COMPILE_CACHE: compileCache,
    SLUICE_CONFIG: join(services, "no-such-file.yaml"),
  };
  await once(
    spawn(process.execPath, [join(services, role, "main.ts")], { env, stdio: "ignore", timeout: 20_000 }),
    "exit",
  );
}
