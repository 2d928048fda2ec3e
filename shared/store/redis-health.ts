import type { RedisConnection } from "./connect-redis.ts";

/** What Redis says of its memory. */
export interface RedisMemory {
  readonly policy: string;
  /** Share of `maxmemory` in use; 0 when no limit is set. */
  readonly used: number;
}

export interface RedisHealth {
  /** Why the process must not be ready; empty when all is well or Redis is away. */
  reasons(): string[];
  /** True while Redis is away: callers are still served, the queue and shared limits are not. */
  readonly isDegraded: boolean;
  /** As last read; undefined before the first answer. */
  readonly memory: RedisMemory | undefined;
  /** Asks Redis now; resolves when `reasons` knows. */
  check(): Promise<void>;
  close(): void;
}

const checkMs = 5000;
const mostMemory = 0.9;

/** Watches what would lose queued calls: a policy that evicts keys, and memory that runs out. */
export function createRedisHealth(options: { readonly redis: RedisConnection }): RedisHealth {
  const { redis } = options;
  let memory: RedisMemory | undefined;
  async function check(): Promise<void> {
    if (!redis.isReady) return;
    memory = (await readMemory(redis).catch(() => undefined)) ?? memory;
  }
  const timer = setInterval(() => void check(), checkMs).unref();
  const onReady = (): void => void check();
  redis.client.on("ready", onReady);
  onReady();
  return {
    reasons: () => (memory ? memoryReasons(memory) : []),
    get isDegraded() {
      return !redis.isReady;
    },
    get memory() {
      return memory;
    },
    check,
    close() {
      clearInterval(timer);
      redis.client.off("ready", onReady);
    },
  };
}

export async function readMemory(redis: RedisConnection): Promise<RedisMemory> {
  return parseMemory(await redis.client.info("memory"));
}

/** From the text of `INFO memory`, which hosted services allow where they refuse `CONFIG GET`. */
export function parseMemory(info: string): RedisMemory {
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  const limit = Number(field("maxmemory"));
  return { policy: field("maxmemory_policy"), used: limit > 0 ? Number(field("used_memory")) / limit : 0 };
}

export function memoryReasons(memory: RedisMemory): string[] {
  const reasons: string[] = [];
  if (memory.policy !== "" && memory.policy !== "noeviction")
    reasons.push(`redis: maxmemory-policy is ${memory.policy}, must be noeviction`);
  if (memory.used > mostMemory) reasons.push(`redis: ${Math.floor(memory.used * 100)} % of maxmemory in use`);
  return reasons;
}
