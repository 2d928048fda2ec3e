import type { Outcome } from "#shared/messages/outcome.ts";
import { createAcknowledger } from "./acknowledger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { decodeOutcome, encodeOutcome, packOutcome } from "./outcome-codec.ts";
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
   * Records the outcome unless there is one, drops the call's body and tells the channel `replyTo` ("" for nobody) and
   * everybody who joined the call. `keepMs`: for how long, if not the usual time; compressed when it is longer. Resolves
   * when Redis has done so.
   */
  // oxlint-disable-next-line eslint/max-params -- three on the way of every call, the last for the few that are kept
  settle(callId: string, outcome: Outcome, replyTo: string, keepMs?: number): Promise<"recorded" | "already">;
  /** What to know before a job is opened. */
  begin(callId: string): Promise<CallState>;
  read(callId: string): Promise<Outcome | undefined>;
  /** The caller has its answer: of the outcome only that there was one is kept. In its own time, never fails. */
  acknowledge(callId: string): void;
  /** As `acknowledge`, but a minute later, so that a retry finds the outcome; at once when Redis is short of memory. */
  acknowledgeLater(callId: string): void;
  /** What became of a call whose reply may have been lost. */
  fate(lane: string, callId: string): Promise<Fate>;
  /** Marks the call as cancelled up to `until` (milliseconds since the epoch) and tells every dispatcher. */
  cancel(callId: string, until: number): Promise<void>;
  /** Call ids as they are cancelled; what is cancelled during an interruption is only marked. Returns what stops it. */
  onCancel(listener: (callId: string) => void): () => void;
  /** Sends off what was acknowledged. */
  close(): Promise<void>;
}

const shortestMarkMs = 60_000;

export function createResultStore(options: ResultStoreOptions): ResultStore {
  const { client } = options.redis;
  const keys = createStoreKeys(options.prefix);
  const sealer = options.encryptionKey ? createSealer(options.encryptionKey) : undefined;
  const settling = createSettleBatch(loadScript(client, new URL("settle-outcomes.lua", import.meta.url)));
  const readKeys = createTurnReader(client);
  const findFate = loadScript(client, new URL("find-fate.lua", import.meta.url));
  const cancelCall = loadScript(client, new URL("cancel-call.lua", import.meta.url));
  const acknowledging = createAcknowledger(options.redis);
  const decode = (value: Buffer | null | undefined): Outcome | undefined =>
    value && value.length > 0 ? decodeOutcome(value, sealer) : undefined;

  return {
    // oxlint-disable-next-line eslint/max-params -- see the interface
    settle(callId, outcome, replyTo, keepMs) {
      const encode = keepMs !== undefined && keepMs > options.ttlMs ? packOutcome : encodeOutcome;
      const record = encode(callId, outcome, sealer);
      return new Promise((resolve, reject) =>
        settling.add({
          outcomeKey: keys.outcome(callId),
          bodyKey: keys.body(callId),
          callersKey: keys.callers(callId),
          ttlMs: keepMs ?? options.ttlMs,
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
    acknowledgeLater: (callId) => acknowledging.addLater(keys.outcome(callId)),
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
      return () => void subscription.close();
    },
    close: () => acknowledging.close(),
  };
}
