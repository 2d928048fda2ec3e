import { Redis, type Command, type RedisOptions } from "ioredis";
import { fullJitter } from "#shared/runtime/backoff.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { metrics } from "#shared/telemetry/metrics.ts";

/**
 * `command`: producers and stores; a command is answered within half a second or rejected, and never written later.
 * `blocking`: the job consumer; commands wait for Redis however long it takes.
 * `subscriber`: pub/sub; each subscription sees to its own renewal, so that its confirmation is seen.
 */
export type RedisPurpose = "command" | "blocking" | "subscriber";

export interface RedisConnection {
  readonly client: Redis;
  readonly purpose: RedisPurpose;
  /** False from the start until Redis first answered, and whenever it is away. */
  readonly isReady: boolean;
  /** Since when Redis is away (milliseconds since the epoch), undefined while it is there. */
  readonly awaySince: number | undefined;
  /** Resolves once Redis answers; rejects with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly logger: Logger;
  /** Time for the answer to a command, `command` connections only; 500 ms if absent. */
  readonly commandTimeoutMs?: number;
}

/** A timer that is so late says that this process stood still. */
const stillMs = 20;

/** Where ioredis keeps a command's timer, to be cleared with its end. */
const timerOf = "_commandTimeoutTimer";
const heartbeatMs = 1000;
/** Unanswered heartbeats after which the connection counts as dead; more while Redis loads its data. */
const mostMissedBeats = 2;
const mostHandshakeBeats = 10;
const quitMs = 500;

/** Opens a connection at once and keeps it open until `close()`; it never gives up and never throws. */
export function connectRedis(url: string, purpose: RedisPurpose, options: ConnectOptions): RedisConnection {
  const client = new Redis(url.replace(/^unix:/, ""), optionsFor(purpose, options.commandTimeoutMs ?? 500));
  // Every store on the connection listens for its coming and going. Not 0 for "no limit": BullMQ adds its own to it.
  client.setMaxListeners(10_000);
  adaptCommands(client);
  const outage = watchOutages(client, purpose, options.logger.child({ redis: purpose }));
  const stopHeartbeat = startHeartbeat(client);
  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    stopHeartbeat();
    outage.stop();
    await quit(client);
  }
  return {
    client,
    purpose,
    get isReady() {
      return client.status === "ready";
    },
    get awaySince() {
      return outage.since;
    },
    ready: (signal) => untilReady(client, signal),
    close: () => (closing ??= close()),
  };
}

type ClientOptions = RedisOptions & { replyMapping?: "legacy" };

function optionsFor(purpose: RedisPurpose, commandTimeout: number): ClientOptions {
  const shared: ClientOptions = {
    connectionName: `sluice:${purpose}`,
    connectTimeout: 2000,
    keepAlive: 10_000,
    retryStrategy: (times) => 20 + fullJitter(times, { baseMs: 50, maxMs: 480 }),
  };
  if (purpose === "blocking") return { ...shared, maxRetriesPerRequest: null };
  // With the defaults a write that timed out is kept and written when Redis is back, long after its caller went
  // another way; no retry and no queue means that a rejected command was either sent already or never will be.
  const failFast: ClientOptions = {
    ...shared,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  };
  return purpose === "subscriber"
    ? { ...failFast, autoResubscribe: false, commandTimeout: 2000 }
    : { ...failFast, commandTimeout };
}

/**
 * Commands are patient with a process that stood still itself. And all commands of one event-loop turn leave in one write. ioredis' own auto-pipelining does that too, but makes a
 * pipeline, a closure and two promises per command and keeps a second batch back until the first is answered.
 */
function adaptCommands(client: Redis): void {
  const send = client.sendCommand.bind(client);
  let corked: Redis["stream"] | undefined;
  const uncork = (): void => {
    corked?.uncork();
    corked = undefined;
  };
  client.sendCommand = (command, stream) => {
    command.setTimeout = giveUpAfter;
    if (corked === undefined && client.status === "ready") {
      corked = client.stream;
      corked.cork();
      setImmediate(uncork);
    }
    return send(command, stream);
  };
}

/**
 * In place of a command's own `setTimeout`: a process that stood still itself has not waited for Redis, and gives it its
 * time once more. Else every command under way in a stop of half a second would fail, its answer unread in the socket.
 */
function giveUpAfter(this: Command, ms: number): void {
  let dueAt = performance.now() + ms;
  const look = (isSecond: boolean): void => {
    const now = performance.now();
    if (isSecond || now - dueAt <= stillMs) return this.reject(new Error("Command timed out"));
    dueAt = now + ms;
    Reflect.set(this, timerOf, setTimeout(look, ms, true));
  };
  Reflect.set(this, timerOf, setTimeout(look, ms, false));
}

interface OutageWatch {
  readonly since: number | undefined;
  stop(): void;
}

/** One line in the log when Redis goes away and one when it is back, whatever the number of failed attempts. */
function watchOutages(client: Redis, purpose: RedisPurpose, logger: Logger): OutageWatch {
  let since: number | undefined = Date.now();
  let told = false;
  let stopped = false;
  const tell = (error?: Error): void => {
    if (told || stopped) return;
    told = true;
    logger.warn(error ? { err: error } : {}, "redis is away");
  };
  // ioredis prints errors that nobody listens to, so this listener stays after stop().
  client.on("error", tell);
  client.on("close", () => {
    if (since === undefined && !stopped) metrics.redisInterruptionsTotal.inc({ purpose });
    if (purpose === "command") metrics.redisUp.set(0);
    since ??= Date.now();
    tell();
  });
  client.on("ready", () => {
    if (purpose === "command") metrics.redisUp.set(1);
    if (told && since !== undefined) logger.info({ ms: Date.now() - since }, "redis is back");
    since = undefined;
    told = false;
  });
  return {
    get since() {
      return since;
    },
    stop: () => {
      stopped = true;
    },
  };
}

/** A frozen Redis or a dead network closes no socket: a PING a second finds out within three, and reconnects. */
function startHeartbeat(client: Redis): () => void {
  let missed = 0;
  let waiting = false;
  const forget = (): void => {
    missed = 0;
    waiting = false;
  };
  const refused = (error: Error): void => {
    // An error that Redis sent is a sign of life too.
    missed = error.message === "Command timed out" ? missed + 1 : 0;
    waiting = false;
  };
  const beat = (): void => {
    if (waiting || client.status === "connect") missed += 1;
    if (missed >= (client.status === "connect" ? mostHandshakeBeats : mostMissedBeats)) {
      forget();
      return client.disconnect(true);
    }
    if (waiting || client.status !== "ready") return;
    waiting = true;
    client.ping().then(forget, refused);
  };
  const timer = setInterval(beat, heartbeatMs).unref();
  client.on("close", forget);
  client.on("ready", forget);
  return () => clearInterval(timer);
}

function untilReady(client: Redis, signal?: AbortSignal): Promise<void> {
  if (client.status === "ready") return Promise.resolve();
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onReady = (): void => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    };
    const onAbort = (): void => {
      client.off("ready", onReady);
      reject(signal?.reason as Error);
    };
    client.once("ready", onReady);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Lets written commands be answered first, but not for long. */
async function quit(client: Redis): Promise<void> {
  if (client.status === "ready") {
    const timer = setTimeout(() => client.disconnect(), quitMs);
    await client.quit().catch(() => undefined);
    clearTimeout(timer);
  }
  if (client.status !== "end") client.disconnect();
}
