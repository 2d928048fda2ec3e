import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { redisLaunch } from "./redis-launch.ts";
import { ensureRedisBinary } from "./ensure-redis-binary.ts";
import type { ChildSpec } from "./managed-child.ts";
import { pingRedis } from "./ping-redis.ts";

export interface ProvideRedisOptions {
  /** A Redis that is there already, as the environment or the config file names it. */
  readonly givenUrl: string | undefined;
  readonly dataDir: string;
  readonly searchPath: string;
  readonly allowDownload: boolean;
  readonly port: number;
  readonly say: (line: string) => void;
}

export interface ProvidedRedis {
  readonly url: string;
  /** Our own Redis, to be started first; undefined: one was given. */
  readonly child: ChildSpec | undefined;
}

/** The Redis to use: the given one, which must answer, or one of our own whose data lie in the data folder. */
export async function provideRedis(options: ProvideRedisOptions): Promise<ProvidedRedis> {
  const { givenUrl } = options;
  if (givenUrl !== undefined) {
    const state = await pingRedis(givenUrl);
    if (!state.ready) throw new Error(`The Redis at ${withoutPassword(givenUrl)} does not answer: ${state.reason}.`);
    return { url: givenUrl, child: undefined };
  }
  const binary = await ensureRedisBinary({ ...options, dir: options.dataDir });
  const dir = join(options.dataDir, "redis");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const password = randomBytes(18).toString("base64url");
  const launch = redisLaunch({ dir, port: options.port, password });
  const child: ChildSpec = {
    name: "redis",
    command: binary.command,
    args: launch.args,
    env: { ...binary.env },
    stdin: launch.stdin,
    lacks: async () => (await pingRedis(launch.url)).reason,
  };
  return { url: launch.url, child };
}

function withoutPassword(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "the given address";
}
