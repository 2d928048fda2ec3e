import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { watchRoom } from "./memory-room.ts";

/** Empties stored outcomes whose callers have them. */
export interface Acknowledger {
  add(outcomeKey: string): void;
  /** A minute later, or soon when Redis is short of memory. */
  addLater(outcomeKey: string): void;
  /** Sends off what waits, early or not. */
  close(): Promise<void>;
}

const acknowledgeMs = 250;
const mostAcknowledged = 256;
const laterMs = 60_000;
const checkLaterMs = 1000;
/** Above this share of Redis' memory answers are not kept for retries. */
const mostMemory = 0.5;

interface Later {
  readonly key: string;
  readonly at: number;
}

/** Memory is what this saves, so nothing is lost but memory for the time to live when it fails. */
export function createAcknowledger(redis: RedisConnection): Acknowledger {
  const shrink = loadScript(redis.client, new URL("shrink-outcomes.lua", import.meta.url));
  const hasRoom = watchRoom(redis, mostMemory);
  let waiting: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let later: Later[] = [];
  let laterTimer: NodeJS.Timeout | undefined;

  async function send(keys: readonly string[]): Promise<void> {
    if (keys.length > 0 && redis.isReady) await shrink(keys, []).catch(() => undefined);
  }
  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    waiting = [];
    await send(batch);
  }
  /** The oldest stand first, and all wait equally long. */
  async function flushDue(): Promise<void> {
    const dueAt = (await hasRoom()) ? Date.now() - laterMs : Infinity;
    const firstLeft = later.findIndex(({ at }) => at > dueAt);
    const due = later.splice(0, firstLeft === -1 ? later.length : firstLeft);
    for (let at = 0; at < due.length; at += mostAcknowledged)
      await send(due.slice(at, at + mostAcknowledged).map(({ key }) => key));
    if (later.length > 0) return;
    clearInterval(laterTimer);
    laterTimer = undefined;
  }
  return {
    add(outcomeKey) {
      if (waiting.push(outcomeKey) >= mostAcknowledged) void flush();
      else timer ??= setTimeout(() => void flush(), acknowledgeMs).unref();
    },
    addLater(outcomeKey) {
      later.push({ key: outcomeKey, at: Date.now() });
      laterTimer ??= setInterval(() => void flushDue(), checkLaterMs).unref();
    },
    async close() {
      clearInterval(laterTimer);
      // A minute is left to nobody: Redis forgets them by itself.
      later = [];
      await flush();
    },
  };
}
