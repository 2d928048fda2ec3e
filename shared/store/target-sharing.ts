import { randomUUID } from "node:crypto";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { createStoreKeys } from "./store-keys.ts";
import { subscribeChannel, type ChannelHandlers, type ChannelSubscription } from "./subscribe-channel.ts";
import { decodeFact, encodeFact, type StoredFact } from "./target-fact-codec.ts";
import { openingsKeptMs, type TargetFact, type TargetTable } from "./target-table.ts";

export interface TargetSharingOptions {
  readonly redis: RedisConnection;
  readonly subscriber: RedisConnection;
  readonly prefix: string;
  readonly logger: Logger;
  readonly table: TargetTable;
}

type ProbeFact = Extract<TargetFact, { kind: "probe" }>;

/** Keeps a table of targets in step with those of all other workers. Nothing here rejects or waits, `takeProbe` apart. */
export interface TargetSharing {
  tell(fact: TargetFact): void;
  takeBack(fact: TargetFact): void;
  /** 0 when taken, else the milliseconds for which another holds it; rejects while Redis is away. */
  takeProbe(fact: ProbeFact, holdMs: number): Promise<number>;
  endProbe(fact: ProbeFact): void;
  /** The table holds what everybody knows. */
  readonly isShared: boolean;
  close(): void;
}

const sweepMs = 60_000;
const reloadMs = 500;
/** In a storm of 429s every answer extends the time by a little; so little is not worth telling everybody. */
const worthTellingMs = 25;
const ignore = (): undefined => undefined;

export function createTargetSharing(options: TargetSharingOptions): TargetSharing {
  const { redis, table } = options;
  const { client } = redis;
  const keys = createStoreKeys(options.prefix);
  const channel = keys.targetChannel;
  const me = randomUUID();
  const extendTarget = loadScript(client, new URL("extend-target.lua", import.meta.url));
  const clearTarget = loadScript(client, new URL("clear-target.lua", import.meta.url));
  const takeProbe = loadScript(client, new URL("take-probe.lua", import.meta.url));
  const endProbe = loadScript(client, new URL("end-probe.lua", import.meta.url));
  const toldUntil = new Map<string, number>();
  let isLoaded = false;
  let reload: NodeJS.Timeout | undefined;

  const message = (fact: TargetFact): string => JSON.stringify([me, encodeFact(fact)]);
  const probeKey = ({ provider, model }: ProbeFact): string => keys.probe(`${provider}:${model}`);

  function tell(fact: TargetFact): void {
    if (!redis.isReady) return;
    const { field, value } = encodeFact(fact);
    if (fact.until < (toldUntil.get(field) ?? 0) + worthTellingMs) return;
    toldUntil.set(field, fact.until);
    const keepMs = Math.max(1, Math.ceil(fact.until - Date.now())) + openingsKeptMs;
    extendTarget([keys.targets], [field, Math.ceil(fact.until), value, keepMs, channel, message(fact)]).catch(ignore);
  }
  /** Everything others know, then everything they do not. Messages may come in between: facts merge in any order. */
  async function load(): Promise<void> {
    const stale = applyStored(await client.hgetall(keys.targets), table);
    if (stale.length > 0) client.hdel(keys.targets, ...stale).catch(ignore);
    toldUntil.clear();
    for (const fact of table.facts()) tell(fact);
    isLoaded = true;
  }
  function loadUntilDone(): void {
    clearTimeout(reload);
    load().catch(() => {
      if (subscription.isConfirmed) reload = setTimeout(loadUntilDone, reloadMs).unref();
    });
  }
  const subscription = hearFacts(options, me, {
    confirmed: loadUntilDone,
    interrupted() {
      isLoaded = false;
      clearTimeout(reload);
    },
  });
  const sweeping = setInterval(() => {
    table.sweep();
    toldUntil.clear();
  }, sweepMs).unref();

  return {
    tell,
    takeBack(fact) {
      const { field } = encodeFact(fact);
      toldUntil.delete(field);
      if (redis.isReady) clearTarget([keys.targets], [field, channel, message(fact)]).catch(ignore);
    },
    takeProbe: async (fact, holdMs) =>
      Number(await takeProbe([probeKey(fact)], [me, Math.ceil(holdMs), channel, message(fact)])),
    endProbe(fact) {
      if (redis.isReady) endProbe([probeKey(fact)], [me, channel, message(fact)]).catch(ignore);
    },
    get isShared() {
      return isLoaded && subscription.isConfirmed && redis.isReady;
    },
    close() {
      clearInterval(sweeping);
      clearTimeout(reload);
      void subscription.close();
    },
  };
}

/** Applies what other processes than `me` tell. */
function hearFacts(
  { subscriber, prefix, table, logger }: TargetSharingOptions,
  me: string,
  handlers: Omit<ChannelHandlers, "message">,
): ChannelSubscription {
  const receive = (bytes: Buffer): void => {
    // Our own format, from a process with the same prefix.
    const [by, stored] = JSON.parse(bytes.toString()) as [string, StoredFact];
    const fact = by === me ? undefined : decodeFact(stored);
    if (fact) table.apply(fact);
  };
  return subscribeChannel(subscriber, createStoreKeys(prefix).targetChannel, {
    ...handlers,
    message(bytes) {
      try {
        receive(bytes);
      } catch (error) {
        logger.error({ err: error }, "unreadable news of a target");
      }
    },
  });
}

/** Applies what still holds; returns the fields of what is long over. */
function applyStored(stored: Readonly<Record<string, string>>, table: TargetTable): string[] {
  const stale: string[] = [];
  const keptSince = Date.now() - openingsKeptMs;
  for (const [field, value] of Object.entries(stored)) {
    const fact = decodeFact({ field, value });
    if (fact && fact.until > keptSince) table.apply(fact);
    else stale.push(field);
  }
  return stale;
}
