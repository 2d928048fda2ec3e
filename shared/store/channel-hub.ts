import type { RedisConnection } from "./connect-redis.ts";

/** Listens to many channels on one connection, which is opened for the first of them. */
export interface ChannelHub {
  /**
   * Calls the listener at every message, and after every interruption, when there may have been some. Returns what
   * stops it. A message is a hint, not a promise: look for yourself now and then.
   */
  listen(channel: string, listener: () => void): () => void;
  close(): Promise<void>;
}

export function createChannelHub(connect: () => RedisConnection): ChannelHub {
  const listeners = new Map<string, Set<() => void>>();
  let connection: RedisConnection | undefined;

  function tell(channel: string): void {
    for (const listener of listeners.get(channel) ?? []) listener();
  }
  /** A subscription that fails does so with its connection, and is made again with the next one. */
  function subscribe(channels: readonly string[]): void {
    if (connection?.isReady && channels.length > 0)
      connection.client.subscribe(...channels).then(() => channels.forEach(tell), ignore);
  }
  function open(): RedisConnection {
    const opened = connect();
    opened.client.on("message", tell);
    opened.client.on("ready", () => subscribe([...listeners.keys()]));
    return opened;
  }
  function leave(channel: string): void {
    listeners.delete(channel);
    if (connection?.isReady) connection.client.unsubscribe(channel).catch(ignore);
  }
  return {
    listen(channel, listener) {
      connection ??= open();
      const others = listeners.get(channel);
      if (others) others.add(listener);
      else {
        listeners.set(channel, new Set([listener]));
        subscribe([channel]);
      }
      return () => {
        const left = listeners.get(channel);
        if (left?.delete(listener) && left.size === 0) leave(channel);
      };
    },
    async close() {
      listeners.clear();
      await connection?.close();
    },
  };
}

const ignore = (): void => undefined;
