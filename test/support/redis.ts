import type { TestProject } from "vitest/node";

import { startRedis, type RedisProcess } from "./redis-process.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A Redis that answers; test files tell their keys apart by prefixes of their own. */
    redisUrl: string;
  }
}

let ours: RedisProcess | undefined;

/** Runs once before the suites of a project: the Redis of `REDIS_URL`, else one of our own for as long as they run. */
export async function setup(project: TestProject): Promise<void> {
  const given = process.env["REDIS_URL"];
  if (given === undefined || given === "") ours = await startRedis();
  project.provide("redisUrl", ours?.url ?? (given as string));
}

/** Runs once after them. */
export async function teardown(): Promise<void> {
  await ours?.[Symbol.asyncDispose]();
}
