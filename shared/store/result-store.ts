import type { Outcome } from "#shared/messages/outcome.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "./load-script.ts";
import { decodeOutcome, encodeOutcome } from "./outcome-codec.ts";
import { createSealer } from "./sealer.ts";
import { createSettleBatch } from "./settle-batch.ts";
import { createStoreKeys } from "./store-keys.ts";
import { subscribeChannel } from "./subscribe-channel.ts";
import { createTurnReader } from "./turn-reader.ts";

export interface ResultStoreOptions {
  readonly redis: RedisConnection;
  /** Only for `onCancel`. */
  readonly subscriber?: RedisConnection;
  readonly prefix: string;
  /** How long an outcome, or that there was one, is remembered. */
  readonly ttlMs: number;
  readonly encryptionKey?: string;
}

export interface CallState {
  /** Undefined also when the outcome was acknowledged: then only `answered` is left of it. */
  readonly outcome?: Outcome;
  readonly answered: boolean;
  readonly cancelled: boolean;
}

export type Fate =
  | { readonly state: "answered"; readonly outcome: Outcome | undefined }
  | { readonly state: "queued" }
  | { readonly state: "unknown" };

/** How calls ended, once per call id. Everything rejects while Redis is away; nothing is tried twice. */
export interface ResultStore {
  /**
   * Records the outcome unless there is one, drops the call's body and tells the channel `replyTo` ("" for nobody).
   * Resolves when Redis has done so.
   */
  settle(callId: string, outcome: Outcome, replyTo: string): Promise<"recorded" | "already">;
  /** What to know before a job is opened. */
  begin(callId: string): Promise<CallState>;
  read(callId: string): Promise<Outcome | undefined>;
  /** The caller has its answer: of the outcome only that there was one is kept. In its own time, never fails. */
  acknowledge(callId: string): void;
  /** What became of a call whose reply may have been lost. */
  fate(lane: string, callId: string): Promise<Fate>;
  /** Marks the call as cancelled up to `until` (milliseconds since the epoch) and tells every dispatcher. */
  cancel(callId: string, until: number): Promise<void>;
  /** Call ids as they are cancelled; what is cancelled during an interruption is only marked. Returns what stops it. */
  onCancel(listener: (callId: string) => void): () => void;
  /** Sends off what was acknowledged. */
  close(): Promise<void>;
}

const acknowledgeMs = 250;
const mostAcknowledged = 256;
const shortestMarkMs = 60_000;

export function createResultStore(options: ResultStoreOptions): ResultStore {
  const { client } = options.redis;
  const keys = createStoreKeys(options.prefix);
  const sealer = options.encryptionKey ? createSealer(options.encryptionKey) : undefined;
  const settling = createSettleBatch(loadScript(client, "settle-outcomes"), options.ttlMs);
  const readKeys = createTurnReader(client);
  const findFate = loadScript(client, "find-fate");
  const cancelCall = loadScript(client, "cancel-call");
  const acknowledging = createAcknowledger(options.redis);
  const decode = (value: Buffer | null | undefined): Outcome | undefined =>
    value && value.length > 0 ? decodeOutcome(value, sealer) : undefined;

  return {
    settle(callId, outcome, replyTo) {
      const record = encodeOutcome(callId, outcome, sealer);
      return new Promise((resolve, reject) =>
        settling.add({
          outcomeKey: keys.outcome(callId),
          bodyKey: keys.body(callId),
          record,
          channel: replyTo,
          resolve,
          reject,
        }),
      );
    },
    async begin(callId) {
      const [stored, mark] = await readKeys([keys.outcome(callId), keys.cancelMark(callId)]);
      if (!stored) return { answered: false, cancelled: Boolean(mark) };
      const outcome = decode(stored);
      return { ...(outcome ? { outcome } : {}), answered: true, cancelled: Boolean(mark) };
    },
    async read(callId) {
      const [stored] = await readKeys([keys.outcome(callId)]);
      return decode(stored);
    },
    acknowledge: (callId) => acknowledging.add(keys.outcome(callId)),
    async fate(lane, callId) {
      const reply = await findFate([keys.outcome(callId), keys.job(lane, callId)], []);
      if (Buffer.isBuffer(reply)) return { state: "answered", outcome: decode(reply) };
      return { state: reply === 1 ? "queued" : "unknown" };
    },
    async cancel(callId, until) {
      const ttlMs = Math.max(shortestMarkMs, Math.ceil(until - Date.now()));
      await cancelCall([keys.cancelMark(callId)], [ttlMs, keys.cancelChannel, callId]);
    },
    onCancel(listener) {
      if (!options.subscriber) throw new Error("onCancel needs a subscriber connection");
      const subscription = subscribeChannel(options.subscriber, keys.cancelChannel, {
        message: (message) => listener(message.toString()),
        confirmed: () => undefined,
        interrupted: () => undefined,
      });
      return () => subscription.close();
    },
    close: () => acknowledging.close(),
  };
}

interface Acknowledger {
  add(outcomeKey: string): void;
  close(): Promise<void>;
}

/** Memory is what this saves, so nothing is lost but memory for the time to live when it fails. */
function createAcknowledger(redis: RedisConnection): Acknowledger {
  const shrink = loadScript(redis.client, "shrink-outcomes");
  let waiting: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    waiting = [];
    if (batch.length > 0 && redis.isReady) await shrink(batch, []).catch(() => undefined);
  }
  return {
    add(outcomeKey) {
      if (waiting.push(outcomeKey) >= mostAcknowledged) void flush();
      else timer ??= setTimeout(() => void flush(), acknowledgeMs).unref();
    },
    close: flush,
  };
}
