import { resolve } from "node:path";

export interface RedisLaunchOptions {
  /** Where the append-only file lies. */
  readonly dir: string;
  /** Loopback port. */
  readonly port: number;
  /** Everybody on this machine can reach the port. */
  readonly password: string;
}

/** How an embedded Redis is started: its configuration goes in by stdin, so that no process list shows the password. */
export interface RedisLaunch {
  readonly args: readonly string[];
  readonly stdin: string;
  readonly url: string;
}

export function redisLaunch(options: RedisLaunchOptions): RedisLaunch {
  const lines = [
    "bind 127.0.0.1",
    `port ${options.port}`,
    `dir ${JSON.stringify(resolve(options.dir))}`,
    "daemonize no",
    "loglevel warning",
    'save ""',
    "appendonly yes",
    // Bodies pass through: at 70 MB a second Redis would rewrite its file once a second and find nothing to keep. That took a
    // fifth of all CPU, and past the knee a third of the answers in time.
    "auto-aof-rewrite-min-size 512mb",
    "maxmemory 1gb",
    // A queue's data must never be thrown away for room.
    "maxmemory-policy noeviction",
    `requirepass ${options.password}`,
  ];
  const url = `redis://:${options.password}@127.0.0.1:${options.port}`;
  return { args: ["-"], stdin: `${lines.join("\n")}\n`, url };
}
