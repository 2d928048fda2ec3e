import { ExpiringMap } from "./expiring-map.ts";

/** A conversation the provider keeps: what `thread: {type: "continue"}` goes on from. */
export interface StoredThread {
  readonly model: string;
  /** `system` and `tools` of the call that made the thread. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly messages: readonly unknown[];
  state: "open" | "in_flight" | "continued";
}

/** What lies at one simulated account and nowhere else: message threads and containers. */
export interface BoundState {
  thread(account: string, messageId: string): StoredThread | undefined;
  storeThread(account: string, messageId: string, thread: StoredThread): void;
  hasContainer(account: string, id: string): boolean;
  storeContainer(account: string, id: string): void;
}

/** Threads live five minutes, containers as well. */
export function createBoundState(ttlMs = 300_000): BoundState {
  const threads = new ExpiringMap<StoredThread>(ttlMs, 2_000);
  const containers = new ExpiringMap<true>(ttlMs, 10_000);
  return {
    thread: (account, id) => threads.get(`${account} ${id}`),
    storeThread: (account, id, thread) => threads.set(`${account} ${id}`, thread),
    hasContainer: (account, id) => containers.get(`${account} ${id}`) === true,
    storeContainer: (account, id) => containers.set(`${account} ${id}`, true),
  };
}
