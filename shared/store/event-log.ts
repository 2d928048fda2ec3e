import { createChannelHub } from "./channel-hub.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { readMemory } from "./redis-health.ts";
import { createSealer } from "./sealer.ts";
import { createStoreKeys } from "./store-keys.ts";

/** The call whose stream is recorded, and who may read it. */
export interface EventOwner {
  readonly keyId: string;
  readonly callId: string;
}

/** How a recording ended: as a complete answer does, or with an `error` event. */
export type EventsEnd = "complete" | "error";

export interface EventEntry {
  /** `<number of its last event>-<n>`, rising. */
  readonly id: string;
  /** Number of its first event. */
  readonly first: number;
  /** Whole events, or nothing. */
  readonly bytes: Buffer;
  readonly end?: EventsEnd;
}

export interface EventPage {
  readonly entries: readonly EventEntry[];
  /** Whether somebody records it still. False, and no end: whoever did is gone. */
  readonly isLive: boolean;
  /** Number of the last event in the recording; 0 when there is none. */
  readonly lastEvent: number;
}

/** The events of streams that outlive their callers. */
export interface EventLog {
  /** False when the stream cannot be recorded: Redis is away, slow or short of memory. */
  begin(owner: EventOwner): Promise<boolean>;
  /** May be repeated when it rejects. False: what was recorded before is lost, and nothing can be added to it. */
  append(owner: EventOwner, entry: EventEntry, previousId: string): Promise<boolean>;
  /** To be done every `renewEveryMs` by whoever records. True: the call is to be cancelled. */
  renew(owner: EventOwner): Promise<boolean>;
  readonly renewEveryMs: number;
  /** What is recorded behind an entry, a part of it at a time; undefined when there is no such recording. */
  read(owner: EventOwner, behindId: string): Promise<EventPage | undefined>;
  /** Asks whoever records the stream to cancel its call; false when nobody does. */
  cancel(owner: EventOwner): Promise<boolean>;
  /** Calls the listener when there may be something new to read; returns what stops it. */
  onAppended(owner: EventOwner, listener: () => void): () => void;
  /** Calls the listener when `renew` should be asked; returns what stops it. */
  onCancel(owner: EventOwner, listener: () => void): () => void;
  close(): Promise<void>;
}

export interface EventLogOptions {
  readonly redis: RedisConnection;
  /** Opens the connection for news, when somebody first waits for some. */
  readonly connectSubscriber: () => RedisConnection;
  readonly prefix: string;
  /** How long a recording is kept after its last event. */
  readonly ttlMs: number;
  readonly encryptionKey?: string;
  /** After so long without a sign of life whoever records counts as gone. */
  readonly leaseMs?: number;
}

/** The entry that every recording begins with. */
export const firstEventId = "0-1";

const usualLeaseMs = 10_000;
const mostPageBytes = 256 * 1024;
/** Recordings can be done without: they stop long before calls do. */
const mostMemory = 0.7;
const memoryCheckMs = 5000;

export function createEventLog(options: EventLogOptions): EventLog {
  const { redis, ttlMs, leaseMs = usualLeaseMs } = options;
  const keys = createStoreKeys(options.prefix);
  const sealer = options.encryptionKey ? createSealer(options.encryptionKey) : undefined;
  const scripts = loadScripts(redis);
  const hub = createChannelHub(options.connectSubscriber);
  const hasRoom = watchRoom(redis);
  const eventsKey = ({ keyId, callId }: EventOwner): string => keys.events(keyId, callId);
  const leaseKey = ({ keyId, callId }: EventOwner): string => keys.eventsLease(keyId, callId);
  const bothKeys = (owner: EventOwner): string[] => [eventsKey(owner), leaseKey(owner)];
  return {
    renewEveryMs: leaseMs / 3,
    async begin(owner) {
      if (!redis.isReady || !(await hasRoom())) return false;
      await scripts.begin(bothKeys(owner), [ttlMs, leaseMs]);
      return true;
    },
    async append(owner, { id, first, bytes, end }, previousId) {
      const data = sealer && bytes.length > 0 ? sealer.seal(bytes, sealContext(owner, id)) : bytes;
      return (await scripts.append(bothKeys(owner), [previousId, id, first, data, end ?? "", ttlMs])) === 1;
    },
    renew: async (owner) => (await scripts.renew(bothKeys(owner), [ttlMs, leaseMs])) === 1,
    async read(owner, behindId) {
      const found = (await scripts.read(bothKeys(owner), [behindId, mostPageBytes])) as FoundPage | null;
      if (found === null) return undefined;
      const [live, lastId, entries] = found;
      return { isLive: live === 1, lastEvent: Number.parseInt(lastId.toString(), 10), entries: entries.map(toEntry) };

      function toEntry([id, [, data, , first, , end]]: FoundEntry): EventEntry {
        const name = id.toString();
        const bytes = sealer && data.length > 0 ? sealer.open(data, sealContext(owner, name)) : data;
        const ending = end?.toString();
        return { id: name, first: Number(first), bytes, ...(ending ? { end: ending as EventsEnd } : undefined) };
      }
    },
    cancel: async (owner) => (await scripts.cancel([leaseKey(owner)], [])) === 1,
    onAppended: (owner, listener) => hub.listen(eventsKey(owner), listener),
    onCancel: (owner, listener) => hub.listen(leaseKey(owner), listener),
    close: () => hub.close(),
  };
}

/** As the script replies: the entry's id, then the names and values `d`, `n`, `e` of its fields. */
type FoundEntry = readonly [id: Buffer, fields: readonly [unknown, Buffer, unknown?, Buffer?, unknown?, Buffer?]];
type FoundPage = readonly [live: number, lastId: Buffer, entries: readonly FoundEntry[]];

function loadScripts({ client }: RedisConnection) {
  return {
    begin: loadScript(client, new URL("begin-events.lua", import.meta.url)),
    append: loadScript(client, new URL("append-events.lua", import.meta.url)),
    renew: loadScript(client, new URL("renew-events.lua", import.meta.url)),
    read: loadScript(client, new URL("read-events.lua", import.meta.url)),
    cancel: loadScript(client, new URL("cancel-events.lua", import.meta.url)),
  };
}

function sealContext({ keyId, callId }: EventOwner, entryId: string): string {
  return `events:${callId}:${entryId}:${keyId}`;
}

/** Asks Redis for its memory at most every five seconds. */
function watchRoom(redis: RedisConnection): () => Promise<boolean> {
  let checkedAt = 0;
  let room = true;
  return async () => {
    if (Date.now() - checkedAt > memoryCheckMs) {
      const memory = await readMemory(redis);
      checkedAt = Date.now();
      room = memory.used <= mostMemory;
    }
    return room;
  };
}
